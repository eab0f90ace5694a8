#include "layer/layer_parts.hpp"

#include <algorithm>
#include <iterator>

namespace llmpq {
namespace {

const float* values_or_null(const Buffer& buffer) {
  return buffer.empty() ? nullptr : buffer.as<float>();
}

LinearArgs product_of(const Linear& weights, const float* x, int64_t tokens, float* y,
                      ActivationType activation) {
  return {.x = x,
          .w = &weights.matrix,
          .bias = values_or_null(weights.bias),
          .activation = activation,
          .tokens = tokens,
          .y = y,
          .y_stride = weights.matrix.n};
}

void norm_to(const LayerRun& run, const Norm& weights, const NormRows& rows,
             const RoundedRows& rounded) {
  run.ops.norm(run.context, {.kind = run.config.norm,
                             .x = rows.x,
                             .add = rows.add,
                             .weight = weights.weight.as<float>(),
                             .bias = values_or_null(weights.bias),
                             .eps = run.config.norm_eps,
                             .tokens = rows.count,
                             .hidden = run.config.hidden,
                             .y = rows.y,
                             .rounded = rounded});
}

}  // namespace

/// An observer sees inputs before any rounding.
ProductInputs inputs_at(const LayerRun& run, float* rows, int64_t tokens, Products products) {
  if (run.observer) return {rows};
  const auto type_for = [&](const Linear* weights) {
    return run.ops.input_type(run.context,
                              product_of(*weights, rows, tokens, nullptr, run.activation));
  };
  const DType type = type_for(*products.begin());
  const bool all = std::all_of(std::next(products.begin()), products.end(),
                               [&](auto* w) { return type_for(w) == type; });
  return {rows, all ? type : DType::kF32};
}

void norm(const LayerRun& run, const Norm& weights, const NormRows& rows) {
  norm_to(run, weights, rows, {});
}

ProductInputs norm_for(const LayerRun& run, Products products, const Norm& weights,
                       const NormRows& rows) {
  const ProductInputs y = inputs_at(run, rows.y, rows.count, products);
  norm_to(run, weights, rows, y.rounded());
  return y;
}

void linear(const LayerRun& run, const Linear& weights, const float* x, int64_t tokens, float* y,
            ActivationType activation) {
  run.ops.linear(run.context, product_of(weights, x, tokens, y, activation));
}

void linear(const LayerRun& run, const Linear& weights, const LayerProduct& p) {
  LinearArgs args = product_of(weights, p.x.rows, p.tokens, p.y, run.activation);
  args.rounded = p.x.rounded();
  run.ops.linear(run.context, args);
  if (!run.observer) return;
  const Matrix& matrix = weights.matrix;
  run.observer->see_product(run.context, {p.layer, p.product, p.tokens, p.x.rows, matrix.k, p.y,
                                          matrix.n, p.expert, p.weight});
}

/// One that is not gated works in place, where f32 rows must not be overwritten by shorter ones.
ProductInputs activate(const LayerRun& run, int64_t tokens, const Linear& down) {
  float* const y = run.workspace.gated;
  const ProductInputs inputs =
      run.config.gated ? inputs_at(run, y, tokens, {&down}) : ProductInputs{y};
  run.ops.activation(run.context, {.kind = run.config.activation,
                                   .gated = run.config.gated,
                                   .x = run.workspace.up,
                                   .tokens = tokens,
                                   .width = run.config.ffn,
                                   .y = y,
                                   .rounded = inputs.rounded()});
  return inputs;
}

void add_part(const LayerRun& run, int64_t tokens) {
  Workspace& w = run.workspace;
  run.ops.add(run.context,
              {.x = w.hidden, .add = w.projected, .count = tokens * run.config.hidden});
}

}  // namespace llmpq
