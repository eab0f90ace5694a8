#include "plan/baseline_jobs.hpp"

#include <algorithm>

#include "kernels/check.hpp"
#include "plan/assigned_plan.hpp"
#include "plan/predict.hpp"
#include "plan/preference.hpp"

namespace llmpq {
namespace {

int index_of(const Problem& problem, Format format) {
  const auto at = std::find(problem.formats.begin(), problem.formats.end(), name(format));
  CHECK(at != problem.formats.end(), Exit::kInternal, "{}: {} is not a format of the problem",
        problem.name, name(format));
  return static_cast<int>(at - problem.formats.begin());
}

Assignment assignment_of(const Problem& problem, const Plan& plan) {
  Assignment assignment;
  assignment.batching = *plan.figures.batching;
  for (const StagePlan& stage : plan.pipelines.at(0).stages) {
    std::vector<int> formats;
    for (const Format format : stage.formats) formats.push_back(index_of(problem, format));
    assignment.stages.push_back({stage.ranks.at(0), static_cast<int>(stage.layer_begin),
                                 static_cast<int>(stage.layer_end), std::move(formats)});
  }
  return assignment;
}

}  // namespace

Planned planned_of(const JointPlan& joint) {
  Planned planned;
  planned.found = true;
  planned.assignment = assignment_of(joint.problem, joint.plan);
  planned.score = evaluate(joint.problem, planned.assignment);
  planned.lower_bound = joint.plan.figures.lower_bound;
  planned.note = joint.reason;
  planned.solve_s = joint.plan.figures.solve_s.value_or(0);
  return planned;
}

BaselineJob plan_baseline(Planner planner, const PlanRequest& request, const PlanningData& data,
                          const JointPlan& joint, const OptimizeOptions& options) {
  BaselineJob job{plan_by(planner, joint.problem, options), {}};
  const Planned& planned = job.planned;
  if (!planned.found) return job;
  MadeProblem made = make_joint_problem(request, data);
  made.problem = joint.problem;
  JointPlan result;
  result.plan = assigned_plan(request, made, planned.assignment, planned.score);
  if (!data.preference.empty()) prefer(data.preference, request.config.window, result.plan);
  result.predicted = predict(result.plan, request, data);
  result.reason = planned.note;
  result.problem = joint.problem;
  PlanFigures& figures = result.plan.figures;
  figures = joint.plan.figures;  // name and lower bound
  figures.strategy = name(planner);
  figures.batching = planned.assignment.batching;
  figures.time_s = planned.score.time_s;
  figures.simulated_s = result.predicted.seconds;
  figures.omega = planned.score.omega;
  figures.objective = planned.score.objective;
  figures.solve_s = planned.solve_s;
  fill_promised_quality(data, result.plan);
  job.made = std::move(result);
  return job;
}

Comparison compare(const PlanRequest& request, const PlanningData& data, const JointPlan& joint,
                   const OptimizeOptions& options) {
  Comparison comparison;
  comparison.output_tokens = static_cast<double>(joint.predicted.output_tokens);
  for (const Planner planner : kPlanners) {
    if (planner == Planner::kJoint) {
      comparison.plans.push_back({planned_of(joint), joint.predicted.seconds});
      continue;
    }
    BaselineJob job = plan_baseline(planner, request, data, joint, options);
    std::optional<double> simulated_s;
    if (job.made) simulated_s = job.made->predicted.seconds;
    comparison.plans.push_back({std::move(job.planned), simulated_s});
  }
  return comparison;
}

}  // namespace llmpq
