// Where each tensor of a model stands in its files: names matched with roles, shapes and types
// checked, all of it up front. Used by the checkpoint.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "input/families.hpp"
#include "input/safetensors.hpp"
#include "input/stored_matrix.hpp"
#include "input/tensor_shapes.hpp"

namespace llmpq {

/// By role, then by layer (one entry for what stands once) and within it by expert; empty where the
/// model has none. The tied head's place is the embedding's; roles that share a tensor share its
/// place.
using TensorPlaces = std::array<std::vector<TensorPlace>, kTensorRoles>;

/// By role, layer and expert in the same way, for a checkpoint of integers: matrices that stand
/// there as such have an empty TensorPlace, others an empty StoredMatrix.
using StoredPlaces = std::array<std::vector<StoredMatrix>, kTensorRoles>;

/// Finds every tensor of the model; matrices of integers if `stored` is given. Error(kModel) for
/// one that is missing, has another shape, a type that cannot be read or two names, and for one
/// that stands in the files and is not the model's: leaving it out would give other results than
/// the model's own.
TensorPlaces find_tensors(const ModelConfig& config, const Family& family,
                          const SafetensorsFolder& files, StoredPlaces* stored = nullptr);

/// Rows of a role that stand one after the other in the tensor that has them.
struct StoredRows {
  int64_t expert;  ///< whose tensor it is; 0 without experts
  int64_t begin;   ///< in the stored tensor
  int64_t count;   ///< how many at most
};

/// Where row `row` of a role stands in its tensor, which it may share with other roles, and how
/// many of the role's rows follow there.
StoredRows stored_rows(const ModelConfig& config, const Family& family, TensorRole role,
                       int64_t row);

/// Rows of the tensor (of each expert) that has a role: of all roles that share it.
int64_t rows_of_tensor(const ModelConfig& config, const Family& family, TensorRole role);

/// Whether a role's tensor is stored as [inputs, outputs].
bool is_transposed(const Family& family, TensorRole role);

}  // namespace llmpq
