// Strategy joint: everything that a plan decides - devices and their order, cuts, formats, chunks,
// batches, lanes, mix - in one search by formula, and the simulator's verdict on the best few of
// what it finds. Pure; the clock is handed in.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "plan/optimize.hpp"
#include "plan/predict.hpp"

namespace llmpq {

struct JointPlan {
  Plan plan;                   ///< figures and the stages' seconds are filled
  SimulationResult predicted;  ///< what it promises
  std::string reason;          ///< a sentence for the log
  /// What was solved: of the wishes and the order of qualities nothing is left to be said. plan.
  /// figures.batching is a row of it.
  Problem problem;
};

/// Without a wish for quality (data.theta, data.max_omega, wishes.formats) quality comes first: 16
/// bit if it fits; else, where data.omega is given, the smallest sum of it that fits, to the gap
/// asked for; else the highest bits for all layers; and among these the fastest plan. Nothing if it
/// is proven that no plan fits, which says that the wishes or the memory must change.
/// Error(kNoPlan): no plan was found in time.
std::optional<JointPlan> plan_jointly(const PlanRequest& request, const PlanningData& data,
                                      const OptimizeOptions& options);

/// The smallest sum of omega of a plan that fits, whatever the bound; nothing if none does.
std::optional<double> least_omega_that_fits(const PlanRequest& request, const PlanningData& data,
                                            const OptimizeOptions& options);

/// make_problem(), with --layers-per-stage. Error(kUsage): counts that contradict layers or ranks.
MadeProblem make_joint_problem(const PlanRequest& request, const PlanningData& data);

}  // namespace llmpq
