#include "plan/assigned_plan.hpp"

#include "kernels/check.hpp"

namespace llmpq {
namespace {

std::vector<Format> formats_of(const Problem& problem, const AssignedStage& stage) {
  std::vector<Format> formats;
  for (int index : stage.formats) {
    const std::string& text = problem.formats.at(static_cast<size_t>(index));
    const auto format = parse_format(text);
    CHECK(format, Exit::kUsage, "{}: no weight format is called {}", problem.name, text);
    formats.push_back(*format);
  }
  return formats;
}

}  // namespace

Plan assigned_plan(const PlanRequest& request, const MadeProblem& made,
                   const Assignment& assignment, const Score& score) {
  const auto row = static_cast<size_t>(assignment.batching);
  const MicroBatches& sizes = made.sizes.at(row);
  Plan plan;
  plan.model = request.model;
  plan.layers = request.config.layers;
  plan.mix = sizes.mix;
  plan.prefill_tokens = sizes.prefill_tokens;
  plan.decode_batch = sizes.decode_batch;
  plan.lanes = sizes.lanes;
  plan.kv_block_tokens = static_cast<int32_t>(request.kv_block_tokens);
  plan.kv_blocks = made.kv_blocks.at(row);
  plan.head_format = made.head_format;
  auto& stages = plan.pipelines.emplace_back().stages;
  for (size_t i = 0; i < assignment.stages.size(); ++i) {
    const AssignedStage& stage = assignment.stages[i];
    stages.push_back({.ranks = {stage.rank},
                      .layer_begin = stage.begin,
                      .layer_end = stage.end,
                      .formats = formats_of(made.problem, stage),
                      .prefill_s = score.stages.at(i).prefill_s,
                      .decode_s = score.stages.at(i).decode_s,
                      .bytes = static_cast<int64_t>(score.stages.at(i).bytes)});
  }
  return plan;
}

}  // namespace llmpq
