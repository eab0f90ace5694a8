#include "plan/what_if.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/table.hpp"
#include "plan/change_problem.hpp"

namespace llmpq {
namespace {

using nlohmann::ordered_json;

constexpr double kGiB = 1 << 30;
/// Where a device that is forced in has to hold a layer: ends and middle. Any other place is as
/// good as one of these but for the layers' sensitivity.
constexpr std::array kPlaces{0.0, 0.25, 0.5, 0.75, 1.0};

const auto at = [](auto& list, auto index) -> auto& { return list[static_cast<size_t>(index)]; };

/// "stage 2 (rank 3, T4)", or the link behind stage i - stages.
std::string place_name(const Problem& problem, const Assignment& plan, size_t index) {
  const size_t stages = plan.stages.size();
  if (index >= stages)
    return fmt::format("the link between stages {} and {}", index - stages, index - stages + 1);
  const int rank = plan.stages[index].rank;
  return fmt::format("stage {} (rank {}, {})", index, rank, problem.group_with(rank).name);
}

size_t largest(const std::vector<double>& values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

std::string pace_of_waves(const Problem& problem, const Planned& best, const Batching& row,
                          const StepTimes& steps) {
  const size_t p = largest(steps.prefill_s), d = largest(steps.decode_s);
  const double prefill_s =
      row.prefill_sum * steps.prefill_sum + row.prefill_max * steps.prefill_s[p];
  const double share = 100 * prefill_s / best.score.time_s;
  const bool way = steps.decode_sum > row.in_flight * steps.decode_s[d];
  return fmt::format(
      "prefill takes {:.0f} % of the time, and {} sets its pace; decode takes {:.0f} %, and {} "
      "sets its pace",
      share, place_name(problem, best.assignment, p), 100 - share,
      way ? fmt::format("the way of {} lanes through all stages", row.in_flight)
          : place_name(problem, best.assignment, d));
}

std::string pace_of_overlap(const Problem& problem, const Planned& best, const Batching& row,
                            const StepTimes& steps) {
  const double decodes = row.decode_max + row.rounds * row.in_flight;
  std::vector<double> load;
  for (size_t i = 0; i < steps.prefill_s.size(); ++i)
    load.push_back(row.prefill_max * steps.prefill_s[i] + decodes * steps.decode_s[i]);
  const size_t busiest = largest(load);
  const double way =
      row.chunk_rounds * steps.prefill_sum + (row.rounds - row.chunk_rounds) * steps.decode_sum;
  if (way > load[busiest])
    return fmt::format(
        "the way of {} lanes through all stages sets the pace: {} is busy {:.0f} % of "
        "the time",
        row.in_flight, place_name(problem, best.assignment, busiest),
        100 * load[busiest] / best.score.time_s);
  return fmt::format("{} sets the pace: it is busy {:.0f} % of the time",
                     place_name(problem, best.assignment, busiest),
                     100 * load[busiest] / best.score.time_s);
}

struct Spare {
  size_t stage = 0;
  double bytes = std::numeric_limits<double>::infinity();
};

Spare tightest(const Problem& problem, const Planned& best) {
  Spare least;
  for (size_t i = 0; i < best.score.stages.size(); ++i) {
    const int rank = best.assignment.stages[i].rank;
    const double spare = problem.group_with(rank).memory_bytes - best.score.stages[i].bytes;
    if (spare < least.bytes) least = {i, spare};
  }
  return least;
}

std::string binding(const Problem& problem, const Planned& best) {
  const Batching& row = at(problem.batchings, best.assignment.batching);
  const StepTimes steps = step_times(problem, best.assignment, best.score.stages);
  const std::string pace = row.mix == Mix::kSeparated ? pace_of_waves(problem, best, row, steps)
                                                      : pace_of_overlap(problem, best, row, steps);
  const Spare spare = tightest(problem, best);
  std::string quality;
  if (problem.max_omega)
    quality = fmt::format("; {:.1f} % of the bound on omega are used",
                          100 * best.score.omega / std::max(*problem.max_omega, 1e-300));
  return fmt::format("{}; memory is tightest on {}, with {} to spare{}", pace,
                     place_name(problem, best.assignment, spare.stage),
                     bytes_text(static_cast<int64_t>(spare.bytes)), quality);
}

std::set<int> used_ranks(const Assignment& assignment) {
  std::set<int> used;
  for (const AssignedStage& stage : assignment.stages) used.insert(stage.rank);
  return used;
}

/// The first group of each kind of device: equal ones on other nodes would say the same.
std::vector<int> kinds_of_devices(const Problem& problem) {
  std::set<std::tuple<std::string, int, double>> seen;
  std::vector<int> groups;
  for (size_t g = 0; g < problem.groups.size(); ++g) {
    const ProblemGroup& group = problem.groups[g];
    if (seen.insert({group.name, group.kind, group.memory_bytes}).second)
      groups.push_back(static_cast<int>(g));
  }
  return groups;
}

WhatIf another_gib(const Problem& problem, const Planned& best, const OptimizeOptions& options) {
  const int rank = at(best.assignment.stages, tightest(problem, best).stage).rank;
  Problem roomy = with_own_group(problem, rank);
  roomy.groups.back().memory_bytes += kGiB;
  return {fmt::format("1 GiB more on rank {} ({})", rank, problem.group_with(rank).name),
          plan_by(Planner::kJoint, roomy, options)};
}

/// The best of those with a layer of the device at one of kPlaces.
Planned with_stage_on(const Problem& problem, int rank, const OptimizeOptions& options) {
  const Problem own = with_own_group(problem, rank);
  const int group = static_cast<int>(own.groups.size()) - 1;
  std::set<int> layers;
  for (const double place : kPlaces) layers.insert(static_cast<int>(place * (problem.layers - 1)));
  Planned best;
  for (const int layer : layers) {
    Planned planned = plan_by(Planner::kJoint, with_layer_on(own, group, layer), options);
    const bool better =
        planned.found && (!best.found || planned.score.objective < best.score.objective);
    if (better || !best.found) best = std::move(planned);
  }
  return best;
}

std::string change_cell(const Planned& best, const Planned& after) {
  const double percent = 100 * (after.score.time_s / best.score.time_s - 1);
  return fmt::format("{:+.1f} %", percent);
}

void add_rows(const Planned& best, const std::vector<WhatIf>& list, Table& table) {
  for (const WhatIf& one : list) {
    if (one.planned.found)
      table.add({one.change, fmt::format("{:.5g}", one.planned.score.time_s),
                 change_cell(best, one.planned), fmt::format("{:.4g}", one.planned.score.omega)});
    else
      table.add({one.change, "none", "", one.planned.note});
  }
}

ordered_json json_of(const WhatIf& one) {
  ordered_json json{{"change", one.change}, {"found", one.planned.found}};
  if (one.planned.found)
    json.update({{"time_s", one.planned.score.time_s},
                 {"omega", one.planned.score.omega},
                 {"objective", one.planned.score.objective}});
  return json;
}

ordered_json json_of(const std::vector<WhatIf>& list) {
  ordered_json json = ordered_json::array();
  for (const WhatIf& one : list) json.push_back(json_of(one));
  return json;
}

}  // namespace

WhatIfs what_if(const Problem& problem, const Planned& best, const OptimizeOptions& options) {
  WhatIfs answers;
  answers.binding = binding(problem, best);
  for (const int group : kinds_of_devices(problem))
    answers.more_devices.push_back(
        {"one more " + at(problem.groups, group).name,
         plan_by(Planner::kJoint, with_another_device(problem, group), options)});
  answers.more_memory = another_gib(problem, best, options);
  const std::set<int> used = used_ranks(best.assignment);
  for (const ProblemGroup& group : problem.groups) {
    const auto idle = std::find_if(group.ranks.begin(), group.ranks.end(),
                                   [&](int rank) { return !used.contains(rank); });
    if (idle == group.ranks.end()) continue;
    answers.forced.push_back(
        {fmt::format("a stage on rank {} ({}), which idles", *idle, group.name),
         with_stage_on(problem, *idle, options)});
  }
  return answers;
}

std::string describe(const Planned& best, const WhatIfs& answers) {
  Table table({"what if", "time s", "change", "omega"});
  table.add({"as it is", fmt::format("{:.5g}", best.score.time_s), "",
             fmt::format("{:.4g}", best.score.omega)});
  add_rows(best, answers.more_devices, table);
  if (answers.more_memory) add_rows(best, {*answers.more_memory}, table);
  add_rows(best, answers.forced, table);
  const double gap = best.gap().value_or(0);
  return answers.binding + "\n" + table.text() +
         fmt::format("changes of less than {:.1f} % are within the gap of the plans\n", 100 * gap);
}

std::string to_json(const WhatIfs& answers) {
  return dump_json(ordered_json{{"binding", answers.binding},
                                {"more_devices", json_of(answers.more_devices)},
                                {"more_memory", answers.more_memory ? json_of(*answers.more_memory)
                                                                    : ordered_json(nullptr)},
                                {"forced", json_of(answers.forced)}},
                   2) +
         "\n";
}

}  // namespace llmpq
