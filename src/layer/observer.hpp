// Who looks on while layers run: the sensitivity indicator, which wants to know what goes into the
// matrix products of a layer, and what comes out.
#pragma once

#include <cstdint>

#include "kernels/backend.hpp"

namespace llmpq {

/// The matrix products of a layer in their order; LayerWeights has a Linear for each. With experts
/// the last two are done by one expert after the other, each for its own rows.
enum class Product : uint8_t { kQkv, kOut, kUp, kDown };
inline constexpr int kProducts = 4;

/// One of them just queued. All pointers are to contiguous f32 in the backend's memory.
struct ProductRun {
  int64_t layer;  ///< the model's own index
  Product product;
  int64_t rows;
  const float* x;  ///< [rows, inputs], before any rounding of activations
  int64_t inputs;
  const float* y;  ///< [rows, outputs], the bias added
  int64_t outputs;
  int64_t expert = 0;  ///< whose kUp or kDown it is; 0 without experts
  /// [rows]: the router's weights, which an expert's outputs are multiplied by; null otherwise.
  const float* weight = nullptr;
};

/// What is seen is there once the work queued on the context is done, and only until the call
/// returns.
class LayerObserver {
 public:
  virtual ~LayerObserver() = default;
  virtual void see_product(Context& context, const ProductRun& run) = 0;
  /// `hidden`: [rows, width], the residual stream after the layer.
  virtual void see_hidden(Context& context, int64_t layer, const float* hidden, int64_t rows,
                          int64_t width) = 0;
};

}  // namespace llmpq
