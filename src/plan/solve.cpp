#include "plan/solve.hpp"

#include <fmt/format.h>

#include "kernels/check.hpp"
#include "plan/check_plan.hpp"
#include "plan/describe.hpp"
#include "plan/search.hpp"
#include "plan/sizes.hpp"
#include "plan/suggest.hpp"

namespace llmpq {
namespace {

void check_kv_wish(const PlanRequest& request) {
  if (!request.wishes.kv_blocks) return;
  const int64_t blocks = *request.wishes.kv_blocks, least = least_kv_blocks(request);
  CHECK(blocks >= least, Exit::kNoPlan,
        "{} KV blocks of {} tokens hold {} tokens, and the longest sequence (prompt and output) "
        "has {}: want at least {} blocks",
        blocks, request.kv_block_tokens, blocks * request.kv_block_tokens,
        request.workload.max_sequence_tokens, least);
}

Layout layout_of(const Plan& plan) {
  Layout layout;
  for (const StagePlan& stage : plan.pipelines.at(0).stages)
    layout.push_back({stage.ranks.at(0), stage.layer_begin, stage.layer_end});
  return layout;
}

/// The plan's own sizes and formats, where the job asks for no others.
PlanWishes wishes_of(const PlanRequest& request, const Plan& plan) {
  PlanWishes wishes = request.wishes;
  const auto keep = [](std::optional<int32_t>& wish, int32_t size) {
    if (!wish && size > 0) wish = size;
  };
  keep(wishes.prefill_tokens, plan.prefill_tokens);
  keep(wishes.decode_batch, plan.decode_batch);
  keep(wishes.lanes, plan.lanes);
  keep(wishes.kv_blocks, plan.kv_blocks);
  if (!wishes.mix) wishes.mix = plan.mix;
  wishes.head_format = plan.head_format;
  wishes.formats = layer_formats(plan);
  wishes.layers_per_stage.clear();
  return wishes;
}

void check_format_wishes(const PlanRequest& request, const Plan& plan) {
  const auto& wish = request.wishes.formats;
  const std::vector<Format> formats = layer_formats(plan);
  const auto wanted = wish.size() == 1 ? std::vector<Format>(formats.size(), wish[0]) : wish;
  CHECK(wish.empty() || wanted == formats, Exit::kUsage,
        "format asks for {}, the plan has {}: give only one of them", run_lengths(wanted),
        run_lengths(formats));
  CHECK(request.wishes.head_format.value_or(plan.head_format) == plan.head_format, Exit::kUsage,
        "head-format asks for {}, the plan has {}: give only one of them",
        name(*request.wishes.head_format), name(plan.head_format));
}

}  // namespace

Format format_16bit(const PlanRequest& request) {
  std::vector<int> capabilities;
  for (const RankMemory& rank : request.ranks) capabilities.push_back(rank.compute_capability);
  return format_16bit(request.config, capabilities);
}

PlanResult solve(const PlanRequest& request, Strategy strategy) {
  CHECK(!request.ranks.empty(), Exit::kInternal, "a plan for no ranks");
  check_kv_wish(request);
  Found found = search(request, choose_split(request, strategy));
  found.plan.figures.strategy = name(strategy);
  if (found.fits) return {std::move(found.plan), std::move(found.reason)};
  fail(Exit::kNoPlan, "no plan fits into the ranks' memory. The closest:\n{}{}",
       memory_table(request, found.plan), what_would_fit(request, strategy));
}

PlanResult complete_plan(const PlanRequest& request, Plan plan) {
  check_plan(request, plan);
  check_format_wishes(request, plan);
  PlanRequest fixed = request;
  fixed.wishes = wishes_of(request, plan);
  check_kv_wish(fixed);
  const Split split{layout_of(plan), false};
  Found found = search(fixed, split);
  found.plan.figures.strategy = plan.figures.strategy;
  if (found.fits) return {std::move(found.plan), "from a file: " + found.reason};
  const std::string table = memory_table(fixed, found.plan);
  PlanRequest open = fixed;
  open.wishes.prefill_tokens.reset();
  open.wishes.decode_batch.reset();
  open.wishes.kv_blocks.reset();
  const Found smaller = search(open, split);
  CHECK(!smaller.fits, Exit::kNoPlan,
        "the plan does not fit into the ranks' memory:\n{}What would fit: prefill_tokens {}, "
        "decode_batch {}, kv_blocks {}.",
        table, smaller.plan.prefill_tokens, smaller.plan.decode_batch, smaller.plan.kv_blocks);
  const Found other = search(request, choose_split(request, Strategy::kJoint));
  CHECK(!other.fits, Exit::kNoPlan,
        "the plan does not fit into the ranks' memory:\n{}What would fit: no --plan FILE; then it "
        "is {}.",
        table, other.reason);
  fail(Exit::kNoPlan, "the plan does not fit into the ranks' memory:\n{}{}", table,
       what_would_fit(request, Strategy::kJoint));
}

}  // namespace llmpq
