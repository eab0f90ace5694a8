#include "plan/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/file.hpp"
#include "kernels/check.hpp"
#include "layer/weights.hpp"
#include "plan/describe.hpp"
#include "plan/sizes.hpp"

namespace llmpq {
namespace {

/// One pipeline with these ranges, formats (one per layer) and sizes; no KV blocks yet.
Plan assemble(const PlanRequest& request, const Layout& layout, std::span<const Format> formats,
              const MicroBatches& batches) {
  Plan plan;
  plan.model = request.model;
  plan.layers = request.config.layers;
  plan.mix = batches.mix;
  plan.prefill_tokens = batches.prefill_tokens;
  plan.decode_batch = batches.decode_batch;
  plan.lanes = batches.lanes;
  plan.kv_block_tokens = static_cast<int32_t>(request.kv_block_tokens);
  plan.head_format = request.wishes.head_format.value_or(format_16bit(request));
  PipelinePlan& pipeline = plan.pipelines.emplace_back();
  for (const StageRange& range : layout) {
    StagePlan& stage = pipeline.stages.emplace_back();
    stage.ranks = {range.rank};
    stage.layer_begin = range.layer_begin;
    stage.layer_end = range.layer_end;
    stage.formats.assign(formats.begin() + range.layer_begin, formats.begin() + range.layer_end);
  }
  return plan;
}

/// How many KV blocks may be chosen from.
struct BlockRange {
  int64_t least, most;
};

BlockRange block_range(const PlanRequest& request, const MicroBatches& batches) {
  if (const auto wish = request.wishes.kv_blocks) return {*wish, *wish};
  const int64_t least = least_kv_blocks(request);
  return {least, std::max(least, useful_kv_blocks(request, batches))};
}

/// The split's layout, unless another one is allowed and holds a quarter more KV blocks.
Layout choose_layout(const PlanRequest& request, const Split& split, const MemoryModel& model,
                     BlockRange blocks) {
  const int64_t here = std::min(blocks.most, most_kv_blocks(model, split.layout));
  if (!split.may_change || here == blocks.most) return split.layout;
  const auto other =
      roomiest_layout(model, static_cast<int>(request.ranks.size()), blocks.least, blocks.most);
  if (!other) return split.layout;
  const int64_t there = std::min(blocks.most, most_kv_blocks(model, *other));
  return here < blocks.least || there > here + here / 4 ? *other : split.layout;
}

Found try_sizes(const PlanRequest& request, const Split& split, std::span<const Format> formats,
                const MicroBatches& batches) {
  Found found;
  found.plan = assemble(request, split.layout, formats, batches);
  const MemoryModel model(request, formats, found.plan.head_format,
                          stage_sizes(found.plan, request.max_model_len, request.kv_type));
  const BlockRange blocks = block_range(request, batches);
  const Layout layout = choose_layout(request, split, model, blocks);
  found.plan = assemble(request, layout, formats, batches);
  const int64_t most = most_kv_blocks(model, layout);
  found.fits = most >= blocks.least;
  found.plan.kv_blocks = static_cast<int32_t>(std::clamp(most, blocks.least, blocks.most));
  const std::vector<StageMemory> memory = predict_memory(request, found.plan);
  for (size_t i = 0; i < memory.size(); ++i)
    found.plan.pipelines[0].stages[i].bytes = memory[i].total();
  return found;
}

Found try_formats(const PlanRequest& request, const Split& split, std::span<const Format> formats) {
  Found found;
  const auto stages = static_cast<int64_t>(split.layout.size());
  for (const MicroBatches& batches : choose_micro_batches(request, stages)) {
    found = try_sizes(request, split, formats, batches);
    if (found.fits) break;
  }
  return found;
}

/// "rank 1 lacks 3.2 GiB": the stage that misses most.
std::string shortage(const PlanRequest& request, const Plan& plan) {
  const auto memory = predict_memory(request, plan);
  const auto worst = std::max_element(memory.begin(), memory.end(), [](auto& a, auto& b) {
    return a.total() - a.budget < b.total() - b.budget;
  });
  return fmt::format("rank {} lacks {}", worst->rank, bytes_text(worst->total() - worst->budget));
}

std::string blocks_reason(const PlanRequest& request, const Plan& plan) {
  const int64_t useful =
      useful_kv_blocks(request, {plan.mix, plan.prefill_tokens, plan.decode_batch, plan.lanes});
  if (request.wishes.kv_blocks) return fmt::format("{} KV blocks as asked", plan.kv_blocks);
  if (plan.kv_blocks >= useful)
    return fmt::format("{} KV blocks, all that the work can use", plan.kv_blocks);
  return fmt::format("{} KV blocks, which is what memory leaves ({} could be used)", plan.kv_blocks,
                     useful);
}

std::string sizes_reason(const PlanRequest& request, const Plan& plan) {
  return fmt::format("{}; chunks of {} tokens, {} lanes of {} sequences, {}", name(plan.mix),
                     plan.prefill_tokens, plan.lanes, plan.decode_batch,
                     blocks_reason(request, plan));
}

}  // namespace

Split choose_split(const PlanRequest& request, Strategy strategy) {
  const auto ranks = static_cast<int64_t>(request.ranks.size());
  const int64_t layers = request.config.layers;
  const auto& counts = request.wishes.layers_per_stage;
  if (!counts.empty()) {
    CHECK(strategy != Strategy::kUniform, Exit::kUsage,
          "strategy uniform makes stages of even size, and layers-per-stage asks for others: give "
          "only one of them");
    const auto sum = std::accumulate(counts.begin(), counts.end(), int64_t{0});
    CHECK(*std::min_element(counts.begin(), counts.end()) > 0 && sum == layers, Exit::kUsage,
          "layers-per-stage {} adds up to {}, the model has {} layers; want at least one for each "
          "stage",
          fmt::join(counts, ","), sum, layers);
    CHECK(static_cast<int64_t>(counts.size()) <= ranks, Exit::kUsage,
          "layers-per-stage {} asks for {} stages, the job has {} ranks: start it with more, or "
          "ask for fewer stages",
          fmt::join(counts, ","), counts.size(), ranks);
    return {counted_layout(counts), false};
  }
  CHECK(strategy != Strategy::kManual, Exit::kUsage,
        "strategy manual wants layers-per-stage, one count for each stage");
  CHECK(strategy != Strategy::kUniform || ranks <= layers, Exit::kUsage,
        "strategy uniform puts a stage on each of the {} ranks, the model has only {} layers: "
        "start at most {} ranks, or leave the strategy out and let ranks idle",
        ranks, layers, layers);
  return {even_layout(layers, std::min(ranks, layers)), strategy != Strategy::kUniform};
}

std::vector<Format> uniform_formats(const PlanRequest& request) {
  return {format_16bit(request), Format::kW8, Format::kW4, Format::kW3};
}

Found search(const PlanRequest& request, const Split& split) {
  const auto layers = static_cast<size_t>(request.config.layers);
  const auto& wish = request.wishes.formats;
  if (!wish.empty()) {
    CHECK(wish.size() == 1 || wish.size() == layers, Exit::kUsage,
          "format names {} formats, the model has {} layers; give one for all or one for each",
          wish.size(), layers);
    const auto formats = wish.size() == layers ? wish : std::vector<Format>(layers, wish[0]);
    Found found = try_formats(request, split, formats);
    found.reason =
        fmt::format("{} as asked; {}", run_lengths(formats), sizes_reason(request, found.plan));
    return found;
  }
  Found found;
  std::string before = "nobody asked for fewer bits, and it fits";
  for (Format format : uniform_formats(request)) {
    const std::vector<Format> formats(layers, format);
    found = try_formats(request, split, formats);
    if (found.fits) {
      found.reason = fmt::format("{} for all layers, because {}; {}", name(format), before,
                                 sizes_reason(request, found.plan));
      return found;
    }
    before = fmt::format("{} does not fit ({})", name(format), shortage(request, found.plan));
  }
  return found;
}

}  // namespace llmpq
