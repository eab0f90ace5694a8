// What the layers of a model are put together from: norms and matrix products over the rows of a
// step. For forward.cpp, forward_ends.cpp and experts.cpp.
#pragma once

#include <initializer_list>

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

/// Rows that only matrix products read: f32, or rounded ones at the begin of that memory.
struct ProductInputs {
  float* rows;
  DType type = DType::kF32;
  /// For the operation that makes them, and for the product.
  RoundedRows rounded() const {
    return type == DType::kF32 ? RoundedRows{} : RoundedRows{type, rows};
  }
};
/// How rows that go into these products are to be left there: rounded if all of them take them so
/// (Ops::input_type) and nobody looks on.
using Products = std::initializer_list<const Linear*>;
ProductInputs inputs_at(const LayerRun& run, float* rows, int64_t tokens, Products products);

/// norm() whose y goes into these products alone.
ProductInputs norm_for(const LayerRun& run, Products products, const Norm& weights,
                       const NormRows& rows);

/// y [tokens, n] = x [tokens, k] times the matrix, both contiguous.
void linear(const LayerRun& run, const Linear& weights, const float* x, int64_t tokens, float* y,
            ActivationType activation);

/// One of the matrix products of a layer, told to who looks on.
struct LayerProduct {
  int64_t layer;
  Product product;
  ProductInputs x;
  int64_t tokens;
  float* y;
  int64_t expert = 0;             ///< as ProductRun has it
  const float* weight = nullptr;  ///< the same
};
void linear(const LayerRun& run, const Linear& weights, const LayerProduct& product);

/// workspace.gated from workspace.up, for the product with `down`.
ProductInputs activate(const LayerRun& run, int64_t tokens, const Linear& down);

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
