#include "plan/memory_model.hpp"

#include <limits>

#include "layer/memory.hpp"

namespace llmpq {
namespace {

constexpr int64_t kMarginParts = 50;

/// What a stage takes while it runs besides the KV cache: workspace, lists of a step, scratch.
int64_t run_bytes(const ModelConfig& config, const Sizes& sizes, BackendKind kind, bool last) {
  return workspace_bytes(config, sizes, false, last) + rows_bytes(sizes) +
         (last ? chooser_bytes(config, sizes) : 0) +
         scratch_bytes(kind, scratch_needs(config, sizes, last));
}

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
    : layers_(static_cast<int64_t>(formats.size())),
      kv_block_(kv_block_bytes(request.config, sizes)),
      link_(request.device_links ? link_bytes(sizes.max_rows * request.config.hidden) : 0) {
  for (const RankMemory& rank : request.ranks) {
    budgets_.push_back(budget_of(rank));
    kinds_.push_back(rank.backend);
  }
  for (const BackendKind kind : {BackendKind::kCpu, BackendKind::kCuda}) {
    KindBytes& bytes = of_kind_[static_cast<size_t>(kind)];
    bytes.embedding = embedding_bytes(request.config, kind);
    bytes.head = head_bytes(request.config, head_format, kind);
    bytes.workspace = run_bytes(request.config, sizes, kind, false);
    bytes.last_workspace = run_bytes(request.config, sizes, kind, true);
    for (Format format : formats)
      bytes.weights.push_back(bytes.weights.back() + layer_bytes(request.config, format, kind));
  }
}

StageMemory MemoryModel::stage(int rank, int64_t begin, int64_t end, int64_t kv_blocks) const {
  const bool last = end == layers();
  StageMemory memory;
  memory.rank = rank;
  const KindBytes& bytes = of_kind_[static_cast<size_t>(kinds_.at(static_cast<size_t>(rank)))];
  memory.weights =
      bytes.weights.at(static_cast<size_t>(end)) - bytes.weights.at(static_cast<size_t>(begin));
  memory.kv_cache = bounded_product(kv_blocks, block_bytes(begin, end));
  const int64_t links = (begin > 0 ? 1 : 0) + (last ? 0 : 1);
  memory.workspace = (last ? bytes.last_workspace : bytes.workspace) + links * link_;
  memory.embedding = begin == 0 ? bytes.embedding : 0;
  memory.head = last ? bytes.head : 0;
  memory.budget = budgets_.at(static_cast<size_t>(rank));
  return memory;
}

int64_t MemoryModel::most_kv_blocks(int rank, int64_t begin, int64_t end) const {
  const StageMemory memory = stage(rank, begin, end, 0);
  const int64_t left = memory.budget - memory.fixed();
  return left < 0 ? -1 : left / block_bytes(begin, end);
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
