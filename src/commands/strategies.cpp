#include "commands/strategies.hpp"

#include <fmt/format.h>

#include "base/file.hpp"
#include "commands/plan_views.hpp"
#include "commands/quality_wish.hpp"
#include "kernels/check.hpp"
#include "plan/problem_json.hpp"
#include "plan/search.hpp"

namespace llmpq {

std::optional<JointPlan> solve_jointly(const Job& job, const PlanRequest& request,
                                       const PlanningData& data) {
  const OptimizeOptions options = optimize_options(job);
  auto joint = plan_jointly(request, data, options);
  if (!joint && data.max_omega)
    if (const auto least = least_omega_that_fits(request, data, options))
      fail(Exit::kNoPlan, "{}", quality_that_fits(job, data, *least));
  if (joint && !job.save_problem.empty())
    write_file_atomically(job.save_problem, to_json(joint->problem), Exit::kOutput);
  return joint;
}

JointPlan solve_or_fail(const Job& job, const PlanRequest& request, const PlanningData& data) {
  auto joint = solve_jointly(job, request, data);
  if (joint) return std::move(*joint);
  CHECK(job.format.empty(), Exit::kNoPlan,
        "{}: the model does not fit on these devices in the formats asked for", data.name);
  const MadeProblem made = make_problem(request, data);
  fail(Exit::kNoPlan, "{}: the model does not fit on these devices with {}; that is proven",
       data.name, fmt::join(made.problem.formats, ", "));
}

BaselineJob plan_of_strategy(const Job& job, const PlanRequest& request, const PlanningData& data,
                             const JointPlan& joint) {
  const Planner planner = planner_of(job.strategy);
  if (planner == Planner::kJoint) return {planned_of(joint), joint};
  if (planner == Planner::kUniform) choose_split(request, job.strategy);  // checks the ranks
  return plan_baseline(planner, request, data, joint, optimize_options(job));
}

JointPlan made_plan(const PlanningData& data, BaselineJob job) {
  CHECK(job.made, Exit::kNoPlan, "{}: {} has no plan of joint's quality: {}", data.name,
        name(job.planned.planner), job.planned.note);
  return std::move(*job.made);
}

bool asks_for_several(const Job& job) {
  return job.strategy == Strategy::kAll || job.sweep != "none";
}

int print_several(const Job& job, const PlanRequest& request, const PlanningData& data) {
  if (job.sweep != "none") return print_sweep(job, make_joint_problem(request, data).problem);
  const JointPlan joint = solve_or_fail(job, request, data);
  return print_comparison(job, joint.problem, compare(request, data, joint, optimize_options(job)));
}

}  // namespace llmpq
