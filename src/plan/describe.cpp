#include "plan/describe.hpp"

#include <fmt/format.h>

#include <set>

#include "base/file.hpp"
#include "base/table.hpp"
#include "plan/memory_model.hpp"

namespace llmpq {
namespace {

std::string device_of(const PlanRequest& request, int rank) {
  return request.ranks.at(static_cast<size_t>(rank)).device;
}

std::string idle_ranks(const PlanRequest& request, const Plan& plan) {
  std::set<int> used;
  for (const StagePlan& stage : plan.pipelines.at(0).stages)
    used.insert(stage.ranks.begin(), stage.ranks.end());
  std::string text;
  for (int rank = 0; rank < static_cast<int>(request.ranks.size()); ++rank)
    if (!used.contains(rank))
      text += fmt::format("rank {} ({}) idles: it has no stage\n", rank, device_of(request, rank));
  return text;
}

}  // namespace

std::string run_lengths(std::span<const Format> formats) {
  std::string text;
  for (size_t begin = 0, end = 0; begin < formats.size(); begin = end) {
    while (end < formats.size() && formats[end] == formats[begin]) ++end;
    text += fmt::format("{}{} x{}", begin == 0 ? "" : ", ", name(formats[begin]), end - begin);
  }
  return text;
}

std::string memory_table(const PlanRequest& request, const Plan& plan) {
  Table table({"stage", "rank", "device", "layers", "formats", "weights", "KV cache", "workspace",
               "embedding", "head", "total", "budget", ""});
  const std::vector<StageMemory> memory = predict_memory(request, plan);
  for (size_t i = 0; i < memory.size(); ++i) {
    const StagePlan& stage = plan.pipelines.at(0).stages[i];
    const StageMemory& bytes = memory[i];
    table.add({std::to_string(i), std::to_string(bytes.rank), device_of(request, bytes.rank),
               fmt::format("[{}, {})", stage.layer_begin, stage.layer_end),
               run_lengths(stage.formats), bytes_text(bytes.weights), bytes_text(bytes.kv_cache),
               bytes_text(bytes.workspace), bytes_text(bytes.embedding), bytes_text(bytes.head),
               bytes_text(bytes.total()), bytes_text(bytes.budget),
               bytes.fits() ? "" : bytes_text(bytes.total() - bytes.budget) + " too much"});
  }
  return table.text();
}

std::string describe(const PlanRequest& request, const Plan& plan) {
  const std::string sizes = fmt::format(
      "{}: {} layers on {} stages, {}; prefill chunks of {} tokens, {} lanes of {} sequences, "
      "{} KV blocks of {} tokens, head {}\n",
      plan.model.empty() ? "plan" : plan.model, layer_formats(plan).size(),
      plan.pipelines.at(0).stages.size(), name(plan.mix), plan.prefill_tokens, plan.lanes,
      plan.decode_batch, plan.kv_blocks, plan.kv_block_tokens, name(plan.head_format));
  return sizes + memory_table(request, plan) + idle_ranks(request, plan);
}

}  // namespace llmpq
