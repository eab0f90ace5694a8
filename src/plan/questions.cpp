#include "plan/questions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "plan/describe.hpp"
#include "plan/search.hpp"

namespace llmpq {
namespace {

std::optional<Plan> plan_that_fits(const PlanRequest& request, Strategy strategy) {
  Found found = search(request, choose_split(request, strategy));
  if (!found.fits) return std::nullopt;
  return std::move(found.plan);
}

struct Largest {
  int64_t value = 0;
  Plan plan;
};

/// The largest of 1 ... most that has a plan; what fits at one value fits below it.
std::optional<Largest> largest(int64_t most,
                               const std::function<std::optional<Plan>(int64_t)>& plan_at) {
  auto first = plan_at(1);
  if (!first) return std::nullopt;
  Largest best{1, std::move(*first)};
  int64_t too_much = most + 1;
  while (too_much - best.value > 1) {
    const int64_t middle = best.value + (too_much - best.value) / 2;
    if (auto plan = plan_at(middle))
      best = {middle, std::move(*plan)};
    else
      too_much = middle;
  }
  return best;
}

std::string with_formats(const Plan& plan) {
  const auto formats = layer_formats(plan);
  return fmt::format("{} on {} stages", run_lengths(formats), plan.pipelines.at(0).stages.size());
}

Answer nothing(const char* key, const std::string& least) {
  return {fmt::format("not even {} fits on these devices", least), key, std::nullopt, std::nullopt};
}

}  // namespace

Answer largest_batch(const PlanRequest& request, Strategy strategy) {
  const int64_t most = std::clamp<int64_t>(request.workload.sequences, 1, 1 << 20);
  const auto found = largest(most, [&](int64_t batch) {
    PlanRequest asked = request;
    asked.wishes.decode_batch = static_cast<int32_t>(batch);
    return plan_that_fits(asked, strategy);
  });
  if (!found) return nothing("decode_batch", "a decode batch of 1");
  return {fmt::format("the largest decode batch that fits is {} sequences{}, with {} lanes, {} KV "
                      "blocks and {}",
                      found->value, found->value == most ? " (all there are)" : "",
                      found->plan.lanes, found->plan.kv_blocks, with_formats(found->plan)),
          "decode_batch", static_cast<double>(found->value), found->plan};
}

Answer longest_context(const PlanRequest& request, Strategy strategy) {
  const int64_t block = request.kv_block_tokens;
  const int64_t most = std::max<int64_t>(1, request.config.max_positions / block);
  const auto found = largest(most, [&](int64_t blocks) {
    PlanRequest asked = request;
    asked.max_model_len = asked.workload.max_sequence_tokens = blocks * block;
    return plan_that_fits(asked, strategy);
  });
  if (!found) return nothing("context_tokens", fmt::format("a context of {} tokens", block));
  return {fmt::format("the longest context that fits is {} tokens{}, with decode batches of {} and "
                      "{}",
                      found->value * block, found->value == most ? " (as long as the model's)" : "",
                      found->plan.decode_batch, with_formats(found->plan)),
          "context_tokens", static_cast<double>(found->value * block), found->plan};
}

Answer fewest_cuts(const PlanRequest& request, Strategy strategy) {
  std::string too_large;
  const auto& asked_for = request.wishes.formats;
  for (const Format format : asked_for.empty() ? uniform_formats(request) : asked_for) {
    PlanRequest asked = request;
    asked.wishes.formats = {format};
    if (auto plan = plan_that_fits(asked, strategy))
      return {fmt::format("{} for all layers fits{}, with decode batches of {}", name(format),
                          too_large.empty() ? "" : " and " + too_large + " does not",
                          plan->decode_batch),
              "bits", info(format).bits, plan};
    too_large += fmt::format("{}{}", too_large.empty() ? "" : ", ", name(format));
  }
  return nothing("bits", too_large);
}

std::string to_json(const Answer& answer) {
  const nlohmann::ordered_json value =
      answer.value ? nlohmann::ordered_json(static_cast<int64_t>(*answer.value))
                   : nlohmann::ordered_json(nullptr);
  return dump_json(nlohmann::ordered_json{{answer.key, value}, {"sentence", answer.sentence}}, 2) +
         "\n";
}

}  // namespace llmpq
