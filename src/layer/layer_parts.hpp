// What the layers of a model are put together from: norms and matrix products over the rows of a
// step. For forward.cpp, forward_ends.cpp and experts.cpp.
#pragma once

#include "layer/forward.hpp"

namespace llmpq {

/// What a norm reads and writes: `add`, if given, first joins the residual stream x.
struct NormRows {
  float* x;
  const float* add;
  float* y;
  int64_t count;
};
void norm(const LayerRun& run, const Norm& weights, const NormRows& rows);

/// y [tokens, n] = x [tokens, k] times the matrix, both contiguous.
void linear(const LayerRun& run, const Linear& weights, const float* x, int64_t tokens, float* y,
            ActivationType activation);

/// One of the matrix products of a layer, told to who looks on.
struct LayerProduct {
  int64_t layer;
  Product product;
  const float* x;
  int64_t tokens;
  float* y;
  int64_t expert = 0;             ///< as ProductRun has it
  const float* weight = nullptr;  ///< the same
};
void linear(const LayerRun& run, const Linear& weights, const LayerProduct& product);

/// workspace.gated from workspace.up
void activate(const LayerRun& run, int64_t tokens);

/// hidden += projected
void add_part(const LayerRun& run, int64_t tokens);

/// hidden += what the experts of a layer make of x [tokens, hidden], each row by its own few
/// experts, added in the order of their index. Overwrites workspace.projected.
struct ExpertsInput {
  int64_t layer;
  const float* x;
  int64_t tokens;
};
void add_experts(const LayerRun& run, const LayerWeights& weights, const ExpertsInput& input);

}  // namespace llmpq
