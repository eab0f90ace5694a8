#include "plan/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/table.hpp"
#include "kernels/formats.hpp"

namespace llmpq {
namespace {

using nlohmann::ordered_json;

const Batching& batching_of(const Problem& problem, const Planned& plan) {
  return problem.batchings.at(static_cast<size_t>(plan.assignment.batching));
}

double bytes_of(const Planned& plan) {
  double bytes = 0;
  for (const StageScore& stage : plan.score.stages) bytes += stage.bytes;
  return bytes;
}

/// Of its budget, on the stage that has least left of it.
double fullest_share(const Problem& problem, const Planned& plan) {
  double share = 0;
  for (size_t i = 0; i < plan.score.stages.size(); ++i)
    share = std::max(share, plan.score.stages[i].bytes /
                                problem.group_with(plan.assignment.stages[i].rank).memory_bytes);
  return share;
}

std::optional<double> bound_of(const Comparison& comparison) {
  for (const ComparedPlan& plan : comparison.plans)
    if (plan.planned.lower_bound) return plan.planned.lower_bound;
  return std::nullopt;
}

/// How far the objective is from the bound that holds for all.
std::optional<double> gap_of(const Comparison& comparison, const Planned& plan) {
  const auto bound = bound_of(comparison);
  if (!bound || !(plan.score.objective > 0)) return std::nullopt;
  return 1 - *bound / plan.score.objective;
}

std::optional<double> rate(const Comparison& comparison, std::optional<double> seconds) {
  if (!comparison.output_tokens || !seconds || !(*seconds > 0)) return std::nullopt;
  return *comparison.output_tokens / *seconds;
}

std::string text(const std::optional<double>& value, const char* format = "{:.4g}") {
  return value ? fmt::format(fmt::runtime(format), *value) : "";
}

/// A cell under a header; columns that say nothing for any plan are left out.
struct Column {
  std::string header;
  std::string (*cell)(const Problem&, const Comparison&, const ComparedPlan&);
};

const std::vector<Column>& columns() {
  using P = const Problem&;
  using C = const Comparison&;
  using One = const ComparedPlan&;
  static const std::vector<Column> list{
      {"time s", [](P, C, One one) { return text(one.planned.score.time_s, "{:.5g}"); }},
      {"tokens/s", [](P, C all, One one) { return text(rate(all, one.planned.score.time_s)); }},
      {"simulated s", [](P, C, One one) { return text(one.simulated_s, "{:.5g}"); }},
      {"tokens/s", [](P, C all, One one) { return text(rate(all, one.simulated_s)); }},
      {"times joint's",
       [](P, C all, One one) {
         const Planned& joint = all.plans.front().planned;
         return joint.found && joint.score.time_s > 0
                    ? fmt::format("{:.2f}", one.planned.score.time_s / joint.score.time_s)
                    : std::string();
       }},
      {"bits", [](P p, C, One one) { return text(average_bits(p, one.planned.assignment)); }},
      {"omega", [](P, C, One one) { return text(one.planned.score.omega); }},
      {"objective s",
       [](P p, C, One one) {
         return p.theta > 0 ? text(one.planned.score.objective, "{:.5g}") : std::string();
       }},
      {"gap %",
       [](P, C all, One one) {
         const auto gap = gap_of(all, one.planned);
         return gap ? fmt::format("{:.2f}", 100 * *gap) : std::string();
       }},
      {"stages", [](P, C, One one) { return std::to_string(one.planned.score.stages.size()); }},
      {"mix", [](P p, C, One one) { return std::string(name(batching_of(p, one.planned).mix)); }},
      {"chunk",
       [](P p, C, One one) {
         return std::to_string(
             p.prefill_tokens.at(static_cast<size_t>(batching_of(p, one.planned).prefill)));
       }},
      {"lanes x batch",
       [](P p, C, One one) {
         const Batching& row = batching_of(p, one.planned);
         return fmt::format("{} x {}", row.in_flight,
                            p.decode_sequences.at(static_cast<size_t>(row.decode)));
       }},
      {"memory",
       [](P, C, One one) { return bytes_text(static_cast<int64_t>(bytes_of(one.planned))); }},
      {"fullest",
       [](P p, C, One one) { return fmt::format("{:.0f}%", 100 * fullest_share(p, one.planned)); }},
  };
  return list;
}

std::string how(const Comparison& comparison) {
  std::string lines;
  for (const ComparedPlan& plan : comparison.plans)
    lines += fmt::format(
        "{}: {} ({:.0f} ms)\n", name(plan.planned.planner),
        plan.planned.found ? plan.planned.note : "no plan, because " + plan.planned.note,
        1000 * plan.planned.solve_s);
  return lines;
}

ordered_json number(const std::optional<double>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json stages_json(const Problem& problem, const Planned& plan) {
  ordered_json list = ordered_json::array();
  for (size_t i = 0; i < plan.assignment.stages.size(); ++i) {
    const AssignedStage& stage = plan.assignment.stages[i];
    const StageScore& score = plan.score.stages[i];
    ordered_json formats = ordered_json::array();
    for (const int format : stage.formats)
      formats.push_back(problem.formats.at(static_cast<size_t>(format)));
    list.push_back({{"ranks", {stage.rank}},
                    {"layers", {stage.begin, stage.end}},
                    {"formats", formats},
                    {"prefill_s", score.prefill_s},
                    {"decode_s", score.decode_s},
                    {"bytes", score.bytes}});
  }
  return list;
}

ordered_json plan_json(const Problem& problem, const Comparison& comparison,
                       const ComparedPlan& one) {
  const Planned& plan = one.planned;
  ordered_json json{{"strategy", name(plan.planner)},
                    {"found", plan.found},
                    {"note", plan.note},
                    {"solve_s", plan.solve_s}};
  if (!plan.found) return json;
  const Batching& row = batching_of(problem, plan);
  json.update({{"time_s", plan.score.time_s},
               {"simulated_s", number(one.simulated_s)},
               {"tokens_per_s", number(rate(comparison, plan.score.time_s))},
               {"simulated_tokens_per_s", number(rate(comparison, one.simulated_s))},
               {"average_bits", number(average_bits(problem, plan.assignment))},
               {"omega", plan.score.omega},
               {"objective", plan.score.objective},
               {"gap", number(gap_of(comparison, plan))},
               {"bytes", bytes_of(plan)},
               {"fullest_share", fullest_share(problem, plan)},
               {"batching", plan.assignment.batching},
               {"mix", name(row.mix)},
               {"lanes", row.in_flight},
               {"stages", stages_json(problem, plan)}});
  return json;
}

}  // namespace

Comparison compare(const Problem& problem, const OptimizeOptions& options) {
  Comparison comparison;
  for (const Planner planner : kPlanners)
    comparison.plans.push_back({plan_by(planner, problem, options), std::nullopt});
  return comparison;
}

std::optional<double> average_bits(const Problem& problem, const Assignment& assignment) {
  double bits = 0;
  for (const AssignedStage& stage : assignment.stages)
    for (const int index : stage.formats) {
      const auto format = parse_format(problem.formats.at(static_cast<size_t>(index)));
      if (!format) return std::nullopt;
      bits += info(*format).bits;
    }
  return bits / problem.layers;
}

std::string describe(const Problem& problem, const Comparison& comparison) {
  std::vector<std::string> header{"strategy"};
  std::vector<const Column*> shown;
  const auto cell = [&](const Column& column, const ComparedPlan& plan) {
    return plan.planned.found ? column.cell(problem, comparison, plan) : "";
  };
  for (const Column& column : columns())
    if (std::any_of(comparison.plans.begin(), comparison.plans.end(),
                    [&](const ComparedPlan& plan) { return !cell(column, plan).empty(); })) {
      shown.push_back(&column);
      header.push_back(column.header);
    }
  Table table(header);
  for (const ComparedPlan& plan : comparison.plans) {
    std::vector<std::string> cells{std::string(name(plan.planned.planner))};
    for (const Column* column : shown) cells.push_back(cell(*column, plan));
    table.add(std::move(cells));
  }
  const auto bound = bound_of(comparison);
  const std::string limit =
      problem.max_omega ? fmt::format(", omega at most {:.6g}", *problem.max_omega) : "";
  return fmt::format("{}: {} layers, {} devices, theta {:.4g} s{}\n", problem.name, problem.layers,
                     problem.devices(), problem.theta, limit) +
         table.text() +
         (bound ? fmt::format("no plan is below {:.6g} s\n", *bound) : std::string()) +
         how(comparison);
}

std::string to_json(const Problem& problem, const Comparison& comparison) {
  ordered_json plans = ordered_json::array();
  for (const ComparedPlan& plan : comparison.plans)
    plans.push_back(plan_json(problem, comparison, plan));
  return dump_json(ordered_json{{"problem", problem.name},
                                {"theta", problem.theta},
                                {"max_omega", number(problem.max_omega)},
                                {"lower_bound", number(bound_of(comparison))},
                                {"output_tokens", number(comparison.output_tokens)},
                                {"plans", plans}},
                   2) +
         "\n";
}

}  // namespace llmpq
