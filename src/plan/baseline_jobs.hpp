// Baselines for a job: plans that can be run, made at the limits on quality that joint set itself,
// and judged by the same simulation. Pure.
#pragma once

#include <optional>

#include "plan/compare.hpp"
#include "plan/joint.hpp"

namespace llmpq {

/// What joint chose, in its problem's numbers.
Planned planned_of(const JointPlan& joint);

/// The baseline's plan for the problem that joint solved, and how it was found.
struct BaselineJob {
  Planned planned;
  std::optional<JointPlan> made;  ///< plan, simulation, reason; nothing if it found no plan
};
BaselineJob plan_baseline(Planner planner, const PlanRequest& request, const PlanningData& data,
                          const JointPlan& joint, const OptimizeOptions& options);

/// joint's plan and every baseline's, with formula, simulation and tokens.
Comparison compare(const PlanRequest& request, const PlanningData& data, const JointPlan& joint,
                   const OptimizeOptions& options);

}  // namespace llmpq
