// Where each tensor of a model stands in its files: names matched with roles, shapes and types
// checked, all of it up front. Used by the checkpoint.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "input/families.hpp"
#include "input/safetensors.hpp"
#include "input/tensor_shapes.hpp"

namespace llmpq {

/// By role, then by layer (one entry for what stands once); empty where the model has none. The
/// tied head's place is the embedding's; fused q, k and v share theirs.
using TensorPlaces = std::array<std::vector<TensorPlace>, kTensorRoles>;

/// Finds every tensor of the model. Error(kModel) for one that is missing, has another shape, a
/// type that cannot be read or two names, and for one that stands in the files and is not the
/// model's: leaving it out would give other results than the model's own.
TensorPlaces find_tensors(const ModelConfig& config, const Family& family,
                          const SafetensorsFolder& files);

/// Whether a role's rows stand in a tensor that it shares with two others ([heads, 3, head_dim]).
bool is_fused(const Family& family, TensorRole role);

/// Row of the fused tensor that has row `row` of q, k or v.
int64_t fused_row(TensorRole role, int64_t row, int64_t head_dim);

}  // namespace llmpq
