#include "plan/memory_model.hpp"

#include <limits>

#include "layer/memory.hpp"

namespace llmpq {
namespace {

constexpr int64_t kMarginParts = 50;

/// A number of bytes that no machine has stays one, instead of overflowing.
int64_t bounded_product(int64_t a, int64_t b) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 8;
  return b > 0 && a > kMost / b ? kMost : a * b;
}

}  // namespace

int64_t budget_of(const RankMemory& rank) {
  return rank.memory_bytes - rank.memory_bytes / kMarginParts;
}

MemoryModel::MemoryModel(const PlanRequest& request, std::span<const Format> formats,
                         Format head_format, const Sizes& sizes)
    : weights_{0},
      kv_block_(kv_block_bytes(request.config, sizes)),
      workspace_(workspace_bytes(request.config, sizes, false, false)),
      last_workspace_(workspace_bytes(request.config, sizes, false, true)),
      embedding_(embedding_bytes(request.config)),
      head_(head_bytes(request.config, head_format, request.backend)) {
  for (const RankMemory& rank : request.ranks) budgets_.push_back(budget_of(rank));
  for (Format format : formats)
    weights_.push_back(weights_.back() + layer_bytes(request.config, format, request.backend));
}

StageMemory MemoryModel::stage(int rank, int64_t begin, int64_t end, int64_t kv_blocks) const {
  const bool last = end == layers();
  StageMemory memory;
  memory.rank = rank;
  memory.weights = weights_.at(static_cast<size_t>(end)) - weights_.at(static_cast<size_t>(begin));
  memory.kv_cache = bounded_product(kv_blocks, (end - begin) * kv_block_);
  memory.workspace = last ? last_workspace_ : workspace_;
  memory.embedding = begin == 0 ? embedding_ : 0;
  memory.head = last ? head_ : 0;
  memory.budget = budgets_.at(static_cast<size_t>(rank));
  return memory;
}

int64_t MemoryModel::most_kv_blocks(int rank, int64_t begin, int64_t end) const {
  const StageMemory memory = stage(rank, begin, end, 0);
  const int64_t left = memory.budget - memory.fixed();
  return left < 0 ? -1 : left / ((end - begin) * kv_block_);
}

std::vector<StageMemory> predict_memory(const PlanRequest& request, const Plan& plan) {
  const MemoryModel model(request, layer_formats(plan), plan.head_format,
                          stage_sizes(plan, request.max_model_len, request.kv_type));
  std::vector<StageMemory> stages;
  for (const StagePlan& stage : plan.pipelines.at(0).stages)
    stages.push_back(
        model.stage(stage.ranks.at(0), stage.layer_begin, stage.layer_end, plan.kv_blocks));
  return stages;
}

}  // namespace llmpq
