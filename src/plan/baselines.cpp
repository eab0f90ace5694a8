#include "plan/baselines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "plan/bottleneck_split.hpp"
#include "plan/cost_floor.hpp"
#include "plan/layout.hpp"
#include "plan/least_omega.hpp"
#include "plan/narrow_problem.hpp"

namespace llmpq {
namespace {

constexpr const char* kLate = " (the time was over before all batchings were tried)";

/// Those with many bytes first.
std::vector<size_t> formats_by_size(const Problem& problem) {
  std::vector<size_t> formats(problem.formats.size());
  for (size_t f = 0; f < formats.size(); ++f) formats[f] = f;
  std::stable_sort(formats.begin(), formats.end(), [&](size_t a, size_t b) {
    return problem.layer_bytes[0][a] > problem.layer_bytes[0][b];
  });
  return formats;
}

/// All ranks in the only order allowed, or as they count.
std::vector<int> ranks_in_order(const Problem& problem) {
  if (!problem.order.empty()) return problem.order;
  std::vector<int> ranks;
  for (const ProblemGroup& group : problem.groups)
    ranks.insert(ranks.end(), group.ranks.begin(), group.ranks.end());
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

/// Formats for all layers that a baseline may try, one after the other.
struct FormatChoice {
  std::vector<int> formats;  ///< [layers]
  std::string note;
  Problem narrow;  ///< with no other formats
};

/// The one format of each layer, where there is no choice for any of them (the job names them).
std::optional<std::vector<int>> only_formats(const Problem& problem) {
  std::vector<int> of_class;
  for (size_t c = 0; c < problem.layer_bytes.size(); ++c) {
    std::vector<int> usable;
    for (size_t f = 0; f < problem.formats.size(); ++f)
      if (std::ranges::any_of(problem.kinds, [&](const ProblemKind& kind) {
            const auto has = [](double seconds) { return !std::isnan(seconds); };
            return std::ranges::any_of(kind.prefill_s[c][f], has) &&
                   std::ranges::any_of(kind.decode_s[c][f], has);
          }))
        usable.push_back(static_cast<int>(f));
    if (usable.size() != 1) return std::nullopt;
    of_class.push_back(usable[0]);
  }
  std::vector<int> formats;
  for (int layer = 0; layer < problem.layers; ++layer)
    formats.push_back(of_class[static_cast<size_t>(problem.class_of(layer))]);
  return formats;
}

/// The formats that the job names for each layer; else one for all, those with many bytes first.
std::vector<FormatChoice> format_choices(const Problem& problem) {
  if (auto given = only_formats(problem);
      given && std::ranges::count(*given, given->at(0)) < static_cast<int64_t>(given->size()))
    return {{std::move(*given), "the formats asked for", problem}};
  std::vector<FormatChoice> choices;
  for (const size_t format : formats_by_size(problem))
    choices.push_back(
        {std::vector<int>(static_cast<size_t>(problem.layers), static_cast<int>(format)),
         problem.formats[format] + " for all layers", with_only_format(problem, format)});
  return choices;
}

Assignment equal_parts(const Problem& problem, const std::vector<int>& formats) {
  const std::vector<int> ranks = ranks_in_order(problem);
  const int devices = std::min(problem.devices(), problem.layers);
  Assignment assignment;
  for (const StageRange& range : even_layout(problem.layers, devices))
    assignment.stages.push_back(
        {ranks[static_cast<size_t>(range.rank)],
         static_cast<int>(range.layer_begin),
         static_cast<int>(range.layer_end),
         {formats.begin() + range.layer_begin, formats.begin() + range.layer_end}});
  return assignment;
}

/// What memory sees of a batching: equal ones have the same best formats.
std::vector<double> memory_of(const Batching& row) {
  std::vector<double> bytes = row.kv_bytes_per_layer;
  bytes.insert(bytes.end(),
               {row.workspace_bytes, row.first_bytes, row.last_bytes, row.shared_bytes});
  return bytes;
}

Problem with_only_batching(const Problem& problem, const Batching& row) {
  Problem result = problem;
  result.batchings = {row};
  return result;
}

}  // namespace

void BestOf::offer(const Assignment& assignment) {
  if (!broken_rule(problem_, assignment).empty()) return;
  const Score score = evaluate(problem_, assignment);
  if (!(score.objective < objective())) return;
  found_ = true;
  assignment_ = assignment;
  score_ = score;
}

double BestOf::objective() const {
  return found_ ? score_.objective : std::numeric_limits<double>::infinity();
}

Planned BestOf::take(std::string note) const {
  Planned planned{.assignment = assignment_, .score = score_, .note = std::move(note)};
  planned.found = found_;
  return planned;
}

Planned uniform_plan(const Problem& problem) {
  for (const FormatChoice& choice : format_choices(problem)) {
    BestOf best(problem);
    Assignment assignment = equal_parts(problem, choice.formats);
    for (size_t i = 0; i < problem.batchings.size(); ++i) {
      assignment.batching = static_cast<int>(i);
      best.offer(assignment);
    }
    if (best.objective() < std::numeric_limits<double>::infinity()) return best.take(choice.note);
  }
  return BestOf(problem).take("equal stages keep the rules in no format");
}

Planned pipeedge_plan(const Problem& problem, const OptimizeOptions& options) {
  const TimeLeft time(options);
  const SplitGraph graph = split_graph(problem);
  bool late = false;
  for (const FormatChoice& choice : format_choices(problem)) {
    BestOf best(problem);
    for (const BatchingFloor& floor : batchings_by_floor(choice.narrow)) {
      if (floor.objective >= best.objective() || (late = time.is_over())) break;
      if (const auto split = bottleneck_split(problem, graph, floor.batching, choice.formats))
        best.offer(*split);
    }
    if (best.objective() < std::numeric_limits<double>::infinity())
      return best.take(choice.note + (late ? kLate : ""));
  }
  return BestOf(problem).take("one format for all layers keeps the rules nowhere");
}

bool for_each_adapted(const Problem& problem, const OptimizeOptions& options,
                      const std::function<double(const Assignment&)>& visit) {
  const TimeLeft time(options);
  const SplitGraph graph = split_graph(problem);
  std::map<std::vector<double>, Optimum> least;
  double enough = std::numeric_limits<double>::infinity();
  for (const BatchingFloor& floor : batchings_by_floor(problem)) {
    if (floor.objective >= enough) return true;
    if (time.is_over()) return false;
    const auto& row = problem.batchings[static_cast<size_t>(floor.batching)];
    const auto [at, is_new] = least.try_emplace(memory_of(row));
    if (is_new) at->second = least_omega(with_only_batching(problem, row), time.options());
    if (at->second.status != OptimizeStatus::kFound) continue;
    Assignment adapted = at->second.assignment;
    adapted.batching = floor.batching;
    const auto split =
        bottleneck_split(problem, graph, floor.batching, formats_of_layers(problem, adapted));
    enough = visit(split.value_or(adapted));
  }
  return true;
}

Planned adabits_plan(const Problem& problem, const OptimizeOptions& options) {
  BestOf best(problem);
  const bool all = for_each_adapted(problem, options, [&](const Assignment& adapted) {
    best.offer(adapted);
    return best.objective();
  });
  if (best.objective() < std::numeric_limits<double>::infinity())
    return best.take(std::string("the formats that memory allows") + (all ? "" : kLate));
  return best.take(all ? "no formats keep the rules" : "nothing was found in time");
}

}  // namespace llmpq
