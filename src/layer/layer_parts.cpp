#include "layer/layer_parts.hpp"

namespace llmpq {
namespace {

const float* values_or_null(const Buffer& buffer) {
  return buffer.empty() ? nullptr : buffer.as<float>();
}

}  // namespace

void norm(const LayerRun& run, const Norm& weights, const NormRows& rows) {
  run.ops.norm(run.context, {.kind = run.config.norm,
                             .x = rows.x,
                             .add = rows.add,
                             .weight = weights.weight.as<float>(),
                             .bias = values_or_null(weights.bias),
                             .eps = run.config.norm_eps,
                             .tokens = rows.count,
                             .hidden = run.config.hidden,
                             .y = rows.y});
}

void linear(const LayerRun& run, const Linear& weights, const float* x, int64_t tokens, float* y,
            ActivationType activation) {
  run.ops.linear(run.context, {.x = x,
                               .w = &weights.matrix,
                               .bias = values_or_null(weights.bias),
                               .activation = activation,
                               .tokens = tokens,
                               .y = y,
                               .y_stride = weights.matrix.n});
}

void linear(const LayerRun& run, const Linear& weights, const LayerProduct& p) {
  linear(run, weights, p.x, p.tokens, p.y, run.activation);
  if (!run.observer) return;
  const Matrix& matrix = weights.matrix;
  run.observer->see_product(run.context, {p.layer, p.product, p.tokens, p.x, matrix.k, p.y,
                                          matrix.n, p.expert, p.weight});
}

void activate(const LayerRun& run, int64_t tokens) {
  run.ops.activation(run.context, {.kind = run.config.activation,
                                   .gated = run.config.gated,
                                   .x = run.workspace.up,
                                   .tokens = tokens,
                                   .width = run.config.ffn,
                                   .y = run.workspace.gated});
}

void add_part(const LayerRun& run, int64_t tokens) {
  Workspace& w = run.workspace;
  run.ops.add(run.context,
              {.x = w.hidden, .add = w.projected, .count = tokens * run.config.hidden});
}

}  // namespace llmpq
