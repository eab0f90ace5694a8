// Mixture of experts: each row's few experts, expert by expert, so that an expert's weights are
// read once for all of its rows.
#include "layer/layer_parts.hpp"

namespace llmpq {
namespace {

/// Fills workspace.routes: which rows of x go to which expert.
void route(const LayerRun& run, const LayerWeights& weights, const float* x, int64_t tokens) {
  const ModelConfig& c = run.config;
  Workspace& w = run.workspace;
  linear(run, weights.router, x, tokens, w.router, ActivationType::kF32);
  run.ops.route(run.context, {.logits = w.router,
                              .rows = tokens,
                              .experts = c.experts,
                              .chosen = c.experts_per_token,
                              .normalized = c.experts_normalized,
                              .expert = w.routes.expert,
                              .row_weight = w.routes.row_weight,
                              .row = w.routes.row,
                              .weight = w.routes.weight,
                              .begin = w.routes.begin,
                              .host_begin = w.routes.on_host.data()});
}

}  // namespace

void forward_expert(const LayerRun& run, const Expert& expert, const ExpertRows& rows) {
  Workspace& w = run.workspace;
  linear(run, expert.up,
         {rows.layer, Product::kUp, {w.gathered}, rows.count, w.up, rows.expert, rows.weight});
  const ProductInputs activated = activate(run, rows.count, expert.down);
  linear(
      run, expert.down,
      {rows.layer, Product::kDown, activated, rows.count, w.projected, rows.expert, rows.weight});
}

void add_experts(const LayerRun& run, const LayerWeights& weights, const ExpertsInput& input) {
  Workspace& w = run.workspace;
  const int64_t hidden = run.config.hidden;
  route(run, weights, input.x, input.tokens);
  for (size_t e = 0; e < weights.experts.size(); ++e) {
    const int32_t begin = w.routes.on_host[e], rows = w.routes.on_host[e + 1] - begin;
    if (rows == 0) continue;
    run.ops.gather_rows(run.context, {.x = input.x,
                                      .index = w.routes.row + begin,
                                      .rows = rows,
                                      .width = hidden,
                                      .y = w.gathered});
    forward_expert(run, weights.experts[e],
                   {input.layer, static_cast<int64_t>(e), rows, w.routes.weight + begin});
    run.ops.add_rows(run.context, {.x = w.hidden,
                                   .add = w.projected,
                                   .index = w.routes.row + begin,
                                   .weight = w.routes.weight + begin,
                                   .rows = rows,
                                   .width = hidden});
  }
}

}  // namespace llmpq
