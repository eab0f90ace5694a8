#include "plan/check_plan.hpp"

#include <map>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

void check_pipelines(const Plan& plan) {
  CHECK(plan.pipelines.size() == 1, Exit::kUsage,
        "the plan has {} pipelines, this version runs exactly one", plan.pipelines.size());
  const PipelinePlan& pipeline = plan.pipelines[0];
  CHECK(pipeline.prefill && pipeline.decode, Exit::kUsage,
        "the plan's pipeline serves {} only, this version wants prefill and decode in one",
        pipeline.prefill ? "prefill" : "decode");
  CHECK(!pipeline.stages.empty(), Exit::kUsage, "the plan has no stages");
}

void check_layers(const Plan& plan) {
  int64_t next = 0;
  for (size_t i = 0; i < plan.pipelines[0].stages.size(); ++i) {
    const StagePlan& stage = plan.pipelines[0].stages[i];
    CHECK(stage.layer_begin == next && stage.layer_end > next, Exit::kUsage,
          "stage {} of the plan has layers [{}, {}), want a range that begins at {}", i,
          stage.layer_begin, stage.layer_end, next);
    const int64_t layers = stage.layer_end - stage.layer_begin;
    CHECK(static_cast<int64_t>(stage.formats.size()) == layers, Exit::kUsage,
          "stage {} of the plan has {} formats for {} layers, want one for each", i,
          stage.formats.size(), layers);
    next = stage.layer_end;
  }
}

void check_ranks(const PlanRequest& request, const Plan& plan) {
  const auto ranks = static_cast<int64_t>(request.ranks.size());
  std::map<int, size_t> stage_of;
  for (size_t i = 0; i < plan.pipelines[0].stages.size(); ++i) {
    const StagePlan& stage = plan.pipelines[0].stages[i];
    CHECK(stage.ranks.size() == 1, Exit::kUsage,
          "stage {} of the plan has {} ranks, this version wants one for each stage", i,
          stage.ranks.size());
    const int rank = stage.ranks[0];
    CHECK(rank >= 0 && rank < ranks, Exit::kUsage,
          "stage {} of the plan is for rank {}, this job has ranks 0 to {}: start it with {} ranks "
          "or change the plan",
          i, rank, ranks - 1, int64_t{rank} + 1);
    const auto [other, is_new] = stage_of.emplace(rank, i);
    CHECK(is_new, Exit::kUsage, "rank {} has two stages of the plan, {} and {}; want one at most",
          rank, other->second, i);
  }
}

void check_model(const PlanRequest& request, const Plan& plan) {
  CHECK(plan.model.empty() || request.model.empty() || plan.model == request.model, Exit::kModel,
        "the plan is for model '{}', this job's model is '{}'", plan.model, request.model);
  const int64_t layers = plan.pipelines[0].stages.back().layer_end;
  CHECK(layers == request.config.layers, Exit::kModel,
        "the plan is for a model of {} layers, {} has {}", layers,
        request.model.empty() ? "this job's" : request.model, request.config.layers);
}

}  // namespace

void check_plan(const PlanRequest& request, const Plan& plan) {
  CHECK(is_16bit(plan.head_format) || plan.head_format == Format::kW8, Exit::kUsage,
        "the plan's head_format is {}, want a 16-bit format or w8", name(plan.head_format));
  check_pipelines(plan);
  check_layers(plan);
  check_model(request, plan);
  check_ranks(request, plan);
  // Attention adds up keys block by block, so another block would give other last bits.
  CHECK(plan.kv_block_tokens == request.kv_block_tokens, Exit::kUsage,
        "the plan has KV blocks of {} tokens, want {}: results must not depend on the plan",
        plan.kv_block_tokens, request.kv_block_tokens);
}

}  // namespace llmpq
