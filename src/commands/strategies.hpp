// From known times to the plan of the job's strategy, for ranks that are there (decide, plan) and
// for those that are only described (plan_cluster). Without MPI.
#pragma once

#include <optional>

#include "input/job.hpp"
#include "plan/baseline_jobs.hpp"

namespace llmpq {

/// The joint plan, which sets the quality for all strategies; its problem is saved where the job
/// says so. Nothing if it is proven that no plan fits. Error(kNoPlan): no plan was found in time,
/// or none keeps the wish for quality; then the sentence says what would fit.
std::optional<JointPlan> solve_jointly(const Job& job, const PlanRequest& request,
                                       const PlanningData& data);

/// The same; Error(kNoPlan) where nothing fits.
JointPlan solve_or_fail(const Job& job, const PlanRequest& request, const PlanningData& data);

/// The plan of the job's strategy, if there is one at the limits on quality of the joint plan.
/// Error(kUsage): strategy uniform and more ranks than layers, or stages of other sizes.
BaselineJob plan_of_strategy(const Job& job, const PlanRequest& request, const PlanningData& data,
                             const JointPlan& joint);

/// What plan_of_strategy() made; Error(kNoPlan) if it made none.
JointPlan made_plan(const PlanningData& data, BaselineJob job);

/// --strategy all and --sweep, which ask for more than one plan.
bool asks_for_several(const Job& job);
/// Prints them. Error(kNoPlan).
int print_several(const Job& job, const PlanRequest& request, const PlanningData& data);

}  // namespace llmpq
