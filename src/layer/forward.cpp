#include "layer/forward.hpp"

#include <cmath>

namespace llmpq {
namespace {

const float* values_or_null(const Buffer& buffer) {
  return buffer.empty() ? nullptr : buffer.as<float>();
}

/// What a norm reads and writes: `add`, if given, first joins the residual stream x.
struct NormRows {
  float* x;
  const float* add;
  float* y;
  int64_t count;
};

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

/// y [tokens, n] = x [tokens, k] times the matrix, both contiguous.
void linear(const LayerRun& run, const Linear& weights, const float* x, int64_t tokens, float* y) {
  run.ops.linear(run.context, {.x = x,
                               .w = &weights.matrix,
                               .bias = values_or_null(weights.bias),
                               .activation = run.activation,
                               .tokens = tokens,
                               .y = y,
                               .y_stride = weights.matrix.n});
}

/// One of the matrix products of a layer, told to who looks on.
struct LayerProduct {
  int64_t layer;
  Product product;
  const float* x;
  int64_t tokens;
  float* y;
};

void linear(const LayerRun& run, const Linear& weights, const LayerProduct& p) {
  linear(run, weights, p.x, p.tokens, p.y);
  if (!run.observer) return;
  const Matrix& matrix = weights.matrix;
  run.observer->see_product(run.context,
                            {p.layer, p.product, p.tokens, p.x, matrix.k, p.y, matrix.n});
}

/// Queries and keys lie side by side, so one call turns them all.
void rotate(const LayerRun& run, const RowsView& rows) {
  const ModelConfig& c = run.config;
  run.ops.rope(run.context, {.x = run.workspace.qkv,
                             .stride = c.qkv_rows(),
                             .position = rows.positions,
                             .cosine = run.workspace.cosine,
                             .sine = run.workspace.sine,
                             .tokens = rows.count,
                             .heads = c.heads + c.kv_heads,
                             .head_dim = c.head_dim,
                             .rotary = c.rotary_dim});
}

/// workspace.attended from workspace.qkv; K and V go to the cache first, and are read from there.
void attend(const LayerRun& run, const KvCache& cache, int64_t layer, const RowsView& rows) {
  const ModelConfig& c = run.config;
  const float* q = run.workspace.qkv;
  const float* k = q + c.heads * c.head_dim;
  run.ops.kv_write(run.context, {.k = k,
                                 .v = k + c.kv_heads * c.head_dim,
                                 .stride = c.qkv_rows(),
                                 .ranges = rows.ranges,
                                 .cache = &cache});
  const auto index = static_cast<size_t>(layer);
  run.ops.attention(run.context, {.q = q,
                                  .q_stride = c.qkv_rows(),
                                  .ranges = rows.ranges,
                                  .cache = &cache,
                                  .heads = c.heads,
                                  .scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim)),
                                  .window = index < c.window.size() ? c.window[index] : 0,
                                  .alibi_slopes = run.workspace.alibi,
                                  .y = run.workspace.attended});
}

void activate(const LayerRun& run, int64_t tokens) {
  run.ops.activation(run.context, {.kind = run.config.activation,
                                   .gated = run.config.gated,
                                   .x = run.workspace.up,
                                   .tokens = tokens,
                                   .width = run.config.ffn,
                                   .y = run.workspace.gated});
}

}  // namespace

void forward_layer(const LayerRun& run, const LayerWeights& weights, const KvCache& cache,
                   int64_t layer, const RowsView& rows) {
  Workspace& w = run.workspace;
  const int64_t tokens = rows.count, hidden = run.config.hidden;
  norm(run, weights.input_norm, {.x = w.hidden, .add = nullptr, .y = w.normed, .count = tokens});
  linear(run, weights.qkv, {layer, Product::kQkv, w.normed, tokens, w.qkv});
  if (run.config.position == PositionKind::kRope) rotate(run, rows);
  attend(run, cache, layer, rows);
  linear(run, weights.out, {layer, Product::kOut, w.attended, tokens, w.projected});
  norm(run, weights.post_norm, {.x = w.hidden, .add = w.projected, .y = w.normed, .count = tokens});
  linear(run, weights.up, {layer, Product::kUp, w.normed, tokens, w.up});
  activate(run, tokens);
  linear(run, weights.down, {layer, Product::kDown, w.gated, tokens, w.projected});
  run.ops.add(run.context, {.x = w.hidden, .add = w.projected, .count = tokens * hidden});
  if (run.observer) run.observer->see_hidden(run.context, layer, w.hidden, tokens, hidden);
}

void forward_embedding(const LayerRun& run, const EmbeddingWeights& weights, const RowsView& rows) {
  float* hidden = run.workspace.hidden;
  run.ops.embed(run.context,
                {.ids = rows.tokens,
                 .position = rows.positions,
                 .table = weights.table.data(),
                 .positions = weights.positions.empty() ? nullptr : weights.positions.data(),
                 .type = weights.type,
                 .position_offset = run.config.position_offset,
                 .tokens = rows.count,
                 .hidden = run.config.hidden,
                 .y = hidden});
  if (!weights.norm.weight.empty())
    norm(run, weights.norm, {.x = hidden, .add = nullptr, .y = hidden, .count = rows.count});
}

void forward_head(const LayerRun& run, const HeadWeights& weights, const RowsView& rows) {
  Workspace& w = run.workspace;
  const int64_t samples = rows.samples;
  if (samples == 0) return;
  run.ops.gather_rows(run.context, {.x = w.hidden,
                                    .index = rows.sampled,
                                    .rows = samples,
                                    .width = run.config.hidden,
                                    .y = w.last_hidden});
  norm(run, weights.norm,
       {.x = w.last_hidden, .add = nullptr, .y = w.last_hidden, .count = samples});
  linear(run, weights.matrix, w.last_hidden, samples, w.logits);
}

}  // namespace llmpq
