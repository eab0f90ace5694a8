#include "plan/planners.hpp"

#include <fmt/format.h>

#include "plan/baselines.hpp"
#include "plan/llm_pq.hpp"

namespace llmpq {
namespace {

std::string proven_infeasible(const Problem& problem) {
  return std::string("it is proven that no plan keeps memory") +
         (problem.max_omega ? " and the bound on omega" : "") + " on these devices";
}

Planned joint(const Problem& problem, const OptimizeOptions& options) {
  const Optimum optimum = optimize(problem, options);
  Planned planned{
      .assignment = optimum.assignment, .score = optimum.score, .lower_bound = optimum.lower_bound};
  planned.found = optimum.status == OptimizeStatus::kFound;
  if (planned.found)
    planned.note = fmt::format("{} boxes", optimum.boxes);
  else if (optimum.status == OptimizeStatus::kInfeasible)
    planned.note = proven_infeasible(problem);
  else
    planned.note =
        "nothing was found in time; there may be one: give more time with --plan-time-limit";
  return planned;
}

Planned planned_by(Planner planner, const Problem& problem, const OptimizeOptions& options) {
  switch (planner) {
    case Planner::kJoint:
      return joint(problem, options);
    case Planner::kUniform:
      return uniform_plan(problem);
    case Planner::kPipeEdge:
      return pipeedge_plan(problem, options);
    case Planner::kAdaBits:
      return adabits_plan(problem, options);
    case Planner::kLlmPq:
      return llm_pq_plan(problem, options);
    case Planner::kLlmPqTransfer:
      return transfer_plan(problem, options);
  }
  return {};
}

}  // namespace

std::string_view name(Planner planner) {
  constexpr std::array<std::string_view, kPlanners.size()> kNames{
      "joint", "uniform", "pipeedge", "adabits", "llm-pq", "llm-pq-transfer"};
  return kNames[static_cast<size_t>(planner)];
}

std::optional<double> Planned::gap() const {
  if (!found || !lower_bound) return std::nullopt;
  return score.objective > 0 ? 1 - *lower_bound / score.objective : 0;
}

Planned plan_by(Planner planner, const Problem& problem, const OptimizeOptions& options) {
  check_problem(problem, problem.name.empty() ? "problem" : problem.name);
  const double start_s = options.now_s();
  Planned planned = planned_by(planner, problem, options);
  planned.planner = planner;
  planned.solve_s = options.now_s() - start_s;
  return planned;
}

}  // namespace llmpq
