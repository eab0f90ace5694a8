// What the job says of quality, in the planner's terms: omega, what a unit of it is worth, and its
// bound. Used by decide and plan_cluster.
#pragma once

#include <optional>
#include <string>

#include "input/job.hpp"
#include "plan/make_problem.hpp"
#include "profile/sensitivity.hpp"

namespace llmpq {

/// Of --sensitivity; nothing without it. Error(kUsage) or (kModel): load_sensitivity().
std::optional<Sensitivity> sensitivity_of(const Job& job, const Checkpoint& checkpoint);

/// Fills omega, theta, max_omega, quality and preference. A calibrated file gives omega in nats of
/// loss, another one in its indicator's unit; --average-bits makes omega the bits that a layer has
/// fewer than 16, by which the wish is a bound. `random_will_do`: there is no model to be sensitive
/// (dummy weights, a cluster's shape). Error(kUsage): a wish that needs a file, or a calibrated
/// one.
void add_quality(const Job& job, const std::optional<Sensitivity>& sensitivity, bool random_will_do,
                 const ModelConfig& config, PlanningData& data);

/// A sentence that the wish cannot be kept, when the best that fits has so large a sum of omega,
/// with the wish that would be.
std::string quality_that_fits(const Job& job, const PlanningData& data, double least_omega);

}  // namespace llmpq
