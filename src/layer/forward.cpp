#include "layer/forward.hpp"

#include <cmath>

#include "layer/layer_parts.hpp"

namespace llmpq {
namespace {

/// A layer's place: its cache, its index in the model, and the rows that pass.
struct LayerPlace {
  const KvCache& cache;
  int64_t layer;
  const RowsView& rows;
};

/// RMS norm of each head of q, and of k, by itself.
void norm_heads(const LayerRun& run, const LayerWeights& weights, int64_t tokens) {
  const ModelConfig& c = run.config;
  HeadNormArgs args{.x = run.workspace.qkv,
                    .stride = c.qkv_rows(),
                    .weight = weights.q_norm.weight.as<float>(),
                    .eps = c.norm_eps,
                    .tokens = tokens,
                    .heads = c.heads,
                    .head_dim = c.head_dim};
  run.ops.head_norm(run.context, args);
  args.x += c.heads * c.head_dim;
  args.weight = weights.k_norm.weight.as<float>();
  args.heads = c.kv_heads;
  run.ops.head_norm(run.context, args);
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

float scale_of(const ModelConfig& c) {
  return c.attention_scale > 0 ? c.attention_scale
                               : 1.0f / std::sqrt(static_cast<float>(c.head_dim));
}

/// workspace.attended from workspace.qkv, for the product with `out`. K and V go to the cache
/// first, and are read from there.
ProductInputs attend(const LayerRun& run, const Linear& out, const LayerPlace& at) {
  const ModelConfig& c = run.config;
  const RowsView& rows = at.rows;
  const float* q = run.workspace.qkv;
  const float* k = q + c.heads * c.head_dim;
  run.ops.kv_write(run.context, {.k = k,
                                 .v = k + c.kv_heads * c.head_dim,
                                 .stride = c.qkv_rows(),
                                 .ranges = rows.ranges,
                                 .cache = &at.cache});
  const auto index = static_cast<size_t>(at.layer);
  const ProductInputs y = inputs_at(run, run.workspace.attended, rows.count, {&out});
  run.ops.attention(run.context, {.q = q,
                                  .q_stride = c.qkv_rows(),
                                  .ranges = rows.ranges,
                                  .cache = &at.cache,
                                  .heads = c.heads,
                                  .scale = scale_of(c),
                                  .window = index < c.window.size() ? c.window[index] : 0,
                                  .alibi_slopes = run.workspace.alibi,
                                  .y = y.rows,
                                  .soft_cap = c.attention_soft_cap,
                                  .rounded = y.rounded()});
  return y;
}

/// workspace.projected = attention of x [tokens, hidden].
void attention_part(const LayerRun& run, const LayerWeights& weights, const LayerPlace& at,
                    const ProductInputs& x) {
  Workspace& w = run.workspace;
  const int64_t tokens = at.rows.count;
  linear(run, weights.qkv, {at.layer, Product::kQkv, x, tokens, w.qkv});
  if (run.config.qk_norm) norm_heads(run, weights, tokens);
  if (run.config.position == PositionKind::kRope) rotate(run, at.rows);
  const ProductInputs attended = attend(run, weights.out, at);
  linear(run, weights.out, {at.layer, Product::kOut, attended, tokens, w.projected});
}

/// workspace.projected = feed-forward of x [tokens, hidden]; not for experts.
void feed_forward_part(const LayerRun& run, const LayerWeights& weights, const LayerPlace& at,
                       const ProductInputs& x) {
  Workspace& w = run.workspace;
  const int64_t tokens = at.rows.count;
  linear(run, weights.up, {at.layer, Product::kUp, x, tokens, w.up});
  const ProductInputs activated = activate(run, tokens, weights.down);
  linear(run, weights.down, {at.layer, Product::kDown, activated, tokens, w.projected});
}

/// x + part(norm(x)) for both parts in turn; with norms of what the parts give if there are such.
void layer_with_norms_before(const LayerRun& run, const LayerWeights& weights,
                             const LayerPlace& at) {
  Workspace& w = run.workspace;
  const int64_t tokens = at.rows.count;
  const bool both = run.config.norm_place == NormPlace::kBoth;
  const NormRows given{.x = w.projected, .add = nullptr, .y = w.projected, .count = tokens};
  const NormRows first{.x = w.hidden, .add = nullptr, .y = w.normed, .count = tokens};
  const NormRows second{.x = w.hidden, .add = w.projected, .y = w.normed, .count = tokens};
  attention_part(run, weights, at, norm_for(run, {&weights.qkv}, weights.input_norm, first));
  if (both) norm(run, weights.attention_norm, given);
  if (run.config.experts > 0) {
    norm(run, weights.post_norm, second);
    return add_experts(run, weights, {at.layer, w.normed, tokens});
  }
  feed_forward_part(run, weights, at, norm_for(run, {&weights.up}, weights.post_norm, second));
  if (both) norm(run, weights.feed_forward_norm, given);
  add_part(run, tokens);
}

/// norm(x + part(x)) for both parts in turn.
void layer_with_norms_after(const LayerRun& run, const LayerWeights& weights,
                            const LayerPlace& at) {
  Workspace& w = run.workspace;
  const NormRows sum{.x = w.hidden, .add = w.projected, .y = w.hidden, .count = at.rows.count};
  attention_part(run, weights, at, {w.hidden});
  norm(run, weights.input_norm, sum);
  feed_forward_part(run, weights, at, {w.hidden});
  norm(run, weights.post_norm, sum);
}

/// x + attention(norm(x)) + feed_forward(norm(x)): the same norm, or each its own.
void parallel_layer(const LayerRun& run, const LayerWeights& weights, const LayerPlace& at) {
  Workspace& w = run.workspace;
  const int64_t tokens = at.rows.count;
  const NormRows rows{.x = w.hidden, .add = nullptr, .y = w.normed, .count = tokens};
  const bool shared = run.config.shared_norm;
  ProductInputs x = shared ? norm_for(run, {&weights.qkv, &weights.up}, weights.input_norm, rows)
                           : norm_for(run, {&weights.qkv}, weights.input_norm, rows);
  attention_part(run, weights, at, x);
  if (!shared) x = norm_for(run, {&weights.up}, weights.post_norm, rows);
  add_part(run, tokens);
  feed_forward_part(run, weights, at, x);
  add_part(run, tokens);
}

}  // namespace

void forward_layer(const LayerRun& run, const LayerWeights& weights, const KvCache& cache,
                   int64_t layer, const RowsView& rows) {
  const LayerPlace at{cache, layer, rows};
  if (run.config.parallel)
    parallel_layer(run, weights, at);
  else if (run.config.norm_place == NormPlace::kAfter)
    layer_with_norms_after(run, weights, at);
  else
    layer_with_norms_before(run, weights, at);
  if (run.observer)
    run.observer->see_hidden(run.context, layer, run.workspace.hidden, rows.count,
                             run.config.hidden);
}

}  // namespace llmpq
