#include "plan/planners.hpp"

#include <fmt/format.h>

#include "plan/baselines.hpp"
#include "plan/llm_pq.hpp"

namespace llmpq {
namespace {

Planned joint(const Problem& problem, const OptimizeOptions& options) {
  const Optimum optimum = optimize(problem, options);
  Planned planned{
      .assignment = optimum.assignment, .score = optimum.score, .lower_bound = optimum.lower_bound};
  planned.found = optimum.status == OptimizeStatus::kFound;
  if (planned.found)
    planned.note = fmt::format("{} boxes", optimum.boxes);
  else if (optimum.status == OptimizeStatus::kInfeasible)
    planned.note = "it is proven that no plan keeps the rules";
  else
    planned.note = "nothing was found in time; there may be a plan";
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

Planned plan_by(Planner planner, const Problem& problem, const OptimizeOptions& options) {
  check_problem(problem, problem.name.empty() ? "problem" : problem.name);
  const double start_s = options.now_s();
  Planned planned = planned_by(planner, problem, options);
  planned.planner = planner;
  planned.solve_s = options.now_s() - start_s;
  return planned;
}

}  // namespace llmpq
