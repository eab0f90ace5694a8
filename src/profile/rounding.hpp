// What rounding does to a layer's weights: the steps of the integer formats and the errors that
// they make, measured on the checkpoint with the packing that the stages use. For sensitivity.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "input/checkpoint.hpp"
#include "kernels/formats.hpp"
#include "layer/observer.hpp"

namespace llmpq {

/// A number for each row of kFormats.
using ByFormat = std::array<double, kFormats.size()>;

/// A matrix of a layer as the checkpoint has it, and the product in which it takes part.
struct LayerMatrix {
  TensorRole role;
  Product product;
  int64_t rows, columns;
  int64_t expert = 0;  ///< whose it is; 0 without experts
  int64_t first = 0;   ///< where its rows begin among those of the role
};
/// All that formats are for; with experts those of each, one expert after the other.
std::vector<LayerMatrix> layer_matrices(const ModelConfig& config);

/// S^2 of each integer format: the mean over rows and groups of scale^2, each group weighted by its
/// inputs. A step is the same for all values of a group: largest |w| / max_abs. 0 for 16 bit.
ByFormat mean_squared_steps(const Checkpoint& checkpoint, int64_t layer, const LayerMatrix& matrix);

/// For each integer format the sum over all weights of (w - rounded w)^2 * weight[column]; 0 for 16
/// bit. `weights`: [columns]. The same bits whatever `threads`.
ByFormat weighted_errors(const Checkpoint& checkpoint, int64_t layer, const LayerMatrix& matrix,
                         const std::vector<double>& weights, int threads);

}  // namespace llmpq
