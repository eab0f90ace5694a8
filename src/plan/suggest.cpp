#include "plan/suggest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/file.hpp"
#include "plan/memory_model.hpp"
#include "plan/search.hpp"

namespace llmpq {
namespace {

/// The request with some changes, and how a user would write them.
struct Change {
  PlanRequest request;
  std::string text;
};
using Changed = std::optional<Change>;

bool fits(const PlanRequest& request, Strategy strategy) {
  return search(request, choose_split(request, strategy)).fits;
}

/// The most bits for all layers that fit and are fewer than those that were asked for.
Changed fewer_bits(const PlanRequest& request, Strategy strategy) {
  int most_bits = 0;
  for (Format format : request.wishes.formats) most_bits = std::max(most_bits, info(format).bits);
  for (Format format : uniform_formats(request)) {
    if (info(format).bits >= most_bits) continue;
    Change change{request, fmt::format("--format {}", name(format))};
    change.request.wishes.formats = {format};
    if (fits(change.request, strategy)) return change;
  }
  return std::nullopt;
}

/// What was asked for of chunk and decode batch, halved until it fits.
Changed smaller_batches(const PlanRequest& request, Strategy strategy) {
  Change change{request, ""};
  std::optional<int32_t>& chunk = change.request.wishes.prefill_tokens;
  std::optional<int32_t>& batch = change.request.wishes.decode_batch;
  while (chunk.value_or(1) > 1 || batch.value_or(1) > 1) {
    if (chunk) chunk = std::max(1, *chunk / 2);
    if (batch) batch = std::max(1, *batch / 2);
    if (!fits(change.request, strategy)) continue;
    if (chunk) change.text = fmt::format("--prefill-tokens {}", *chunk);
    if (batch) change.text += fmt::format("{}--decode-batch {}", chunk ? " " : "", *batch);
    return change;
  }
  return std::nullopt;
}

Changed fewer_blocks(const PlanRequest& request, Strategy strategy) {
  Change change{request, "--kv-blocks auto"};
  change.request.wishes.kv_blocks.reset();
  if (!request.wishes.kv_blocks || !fits(change.request, strategy)) return std::nullopt;
  return change;
}

Changed other_split(const PlanRequest& request) {
  Change change{request, "--layers-per-stage left out"};
  change.request.wishes.layers_per_stage.clear();
  if (request.wishes.layers_per_stage.empty() || !fits(change.request, Strategy::kJoint))
    return std::nullopt;
  return change;
}

Change with_context(const PlanRequest& request, int64_t tokens) {
  Change change{request, fmt::format("--max-model-len {}", tokens)};
  change.request.max_model_len = tokens;
  change.request.workload.max_sequence_tokens =
      std::min(request.workload.max_sequence_tokens, tokens);
  return change;
}

/// The longest context, in whole KV blocks, that fits.
Changed shorter_context(const PlanRequest& request, Strategy strategy) {
  int64_t fitting = 0, failing = request.max_model_len / request.kv_block_tokens + 1;
  while (failing - fitting > 1) {
    const int64_t middle = fitting + (failing - fitting) / 2;
    const int64_t tokens = middle * request.kv_block_tokens;
    (fits(with_context(request, tokens).request, strategy) ? fitting : failing) = middle;
  }
  const int64_t tokens = fitting * request.kv_block_tokens;
  if (tokens == 0 || tokens >= request.max_model_len) return std::nullopt;
  return with_context(request, tokens);
}

/// The least that can be asked for.
Changed everything(const PlanRequest& request) {
  Change least{request, "--format w3 --prefill-tokens 16 --decode-batch 1"};
  least.request.wishes = {};
  least.request.wishes.formats = {Format::kW3};
  least.request.wishes.prefill_tokens = 16;
  least.request.wishes.decode_batch = 1;
  if (fits(least.request, Strategy::kJoint)) return least;
  const auto shorter = shorter_context(least.request, Strategy::kJoint);
  if (!shorter) return std::nullopt;
  return Change{shorter->request, least.text + " " + shorter->text};
}

std::string how_much_is_missing(PlanRequest request) {
  request.wishes = {};
  request.wishes.formats = {Format::kW3};
  const Plan plan = search(request, choose_split(request, Strategy::kJoint)).plan;
  int64_t needed = 0, there = 0;
  for (const StageMemory& stage : predict_memory(request, plan)) needed += stage.total();
  for (const RankMemory& rank : request.ranks) there += budget_of(rank);
  return fmt::format(
      "No choice of formats, batches or context fits: even w3 needs {} and the ranks have {}. Use "
      "more ranks, or ranks with more memory.",
      bytes_text(needed), bytes_text(there));
}

}  // namespace

std::string what_would_fit(const PlanRequest& request, Strategy strategy) {
  std::vector<std::string> texts;
  for (const Changed& change :
       {fewer_bits(request, strategy), smaller_batches(request, strategy),
        fewer_blocks(request, strategy), other_split(request), shorter_context(request, strategy)})
    if (change) texts.push_back(change->text);
  if (texts.empty())
    if (const Changed change = everything(request)) texts.push_back(change->text);
  if (texts.empty()) return how_much_is_missing(request);
  return fmt::format("What would fit: {}.", fmt::join(texts, "; or "));
}

}  // namespace llmpq
