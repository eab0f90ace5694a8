#include "plan/baselines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>

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

Assignment equal_parts(const Problem& problem, int format) {
  const std::vector<int> ranks = ranks_in_order(problem);
  const int devices = std::min(problem.devices(), problem.layers);
  Assignment assignment;
  for (const StageRange& range : even_layout(problem.layers, devices))
    assignment.stages.push_back(
        {ranks[static_cast<size_t>(range.rank)], static_cast<int>(range.layer_begin),
         static_cast<int>(range.layer_end),
         std::vector<int>(static_cast<size_t>(range.layer_end - range.layer_begin), format)});
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

std::string all_in(const Problem& problem, size_t format) {
  return problem.formats[format] + " for all layers";
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
  for (const size_t format : formats_by_size(problem)) {
    BestOf best(problem);
    Assignment assignment = equal_parts(problem, static_cast<int>(format));
    for (size_t i = 0; i < problem.batchings.size(); ++i) {
      assignment.batching = static_cast<int>(i);
      best.offer(assignment);
    }
    if (best.objective() < std::numeric_limits<double>::infinity())
      return best.take(all_in(problem, format));
  }
  return BestOf(problem).take("equal stages keep the rules in no format");
}

Planned pipeedge_plan(const Problem& problem, const OptimizeOptions& options) {
  const TimeLeft time(options);
  const SplitGraph graph = split_graph(problem);
  bool late = false;
  for (const size_t format : formats_by_size(problem)) {
    const std::vector<int> formats(static_cast<size_t>(problem.layers), static_cast<int>(format));
    BestOf best(problem);
    for (const BatchingFloor& floor : batchings_by_floor(with_only_format(problem, format))) {
      if (floor.objective >= best.objective() || (late = time.is_over())) break;
      if (const auto split = bottleneck_split(problem, graph, floor.batching, formats))
        best.offer(*split);
    }
    if (best.objective() < std::numeric_limits<double>::infinity())
      return best.take(all_in(problem, format) + (late ? kLate : ""));
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
