// The ends of a model: the embedding and the head.
#include "layer/layer_parts.hpp"

namespace llmpq {
namespace {

/// Learned positions of the rows, added to hidden.
void add_positions(const LayerRun& run, const EmbeddingWeights& weights, const RowsView& rows) {
  const ModelConfig& c = run.config;
  const int64_t skipped = c.position_offset * c.hidden * size_of(weights.type);
  run.ops.embed(run.context, {.ids = rows.positions,
                              .position = nullptr,
                              .table = weights.positions.data() + skipped,
                              .positions = nullptr,
                              .type = weights.type,
                              .position_offset = 0,
                              .tokens = rows.count,
                              .hidden = c.hidden,
                              .y = run.workspace.projected});
  add_part(run, rows.count);
}

/// Rows in front of the head's matrix: `hidden` becomes `normed` (may be the same), and then
/// `projected`, where the model has a norm and a projection.
struct FrontRows {
  float* hidden;
  float* normed;
  float* projected;
  int64_t count;
};

const float* head_front(const LayerRun& run, const HeadWeights& weights, const FrontRows& rows) {
  const float* x = rows.hidden;
  if (run.config.final_norm) {
    norm(run, weights.norm,
         {.x = rows.hidden, .add = nullptr, .y = rows.normed, .count = rows.count});
    x = rows.normed;
  }
  if (run.config.projected_width == 0) return x;
  linear(run, weights.project, x, rows.count, rows.projected, ActivationType::kF32);
  return rows.projected;
}

}  // namespace

/// A table with columns of its own is read to where the layers norm, and projected from there;
/// positions join after that.
void forward_embedding(const LayerRun& run, const EmbeddingWeights& weights, const RowsView& rows) {
  const ModelConfig& c = run.config;
  float* hidden = run.workspace.hidden;
  const bool projected = c.projected_width > 0;
  const bool positions = !weights.positions.empty();
  run.ops.embed(run.context,
                {.ids = rows.tokens,
                 .position = rows.positions,
                 .table = weights.table.data(),
                 .positions = positions && !projected ? weights.positions.data() : nullptr,
                 .type = weights.type,
                 .position_offset = c.position_offset,
                 .tokens = rows.count,
                 .hidden = c.embedding_columns(),
                 .y = projected ? run.workspace.normed : hidden,
                 .scale = c.embedding_scale});
  if (projected) {
    linear(run, weights.project, run.workspace.normed, rows.count, hidden, ActivationType::kF32);
    if (positions) add_positions(run, weights, rows);
  }
  if (!weights.norm.weight.empty())
    norm(run, weights.norm, {.x = hidden, .add = nullptr, .y = hidden, .count = rows.count});
}

const float* head_inputs(const LayerRun& run, const HeadWeights& weights, int64_t rows) {
  Workspace& w = run.workspace;
  return head_front(run, weights, {w.hidden, w.normed, w.projected, rows});
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
  const float* const x =
      head_front(run, weights, {w.last_hidden, w.last_hidden, w.projected_last, samples});
  linear(run, weights.matrix, x, samples, w.logits, run.activation);
  if (run.config.logit_soft_cap > 0)
    run.ops.activation(run.context, {.kind = ActivationArgs::Kind::kSoftCap,
                                     .gated = false,
                                     .x = w.logits,
                                     .tokens = samples,
                                     .width = run.config.vocab,
                                     .y = w.logits,
                                     .cap = run.config.logit_soft_cap});
}

}  // namespace llmpq
