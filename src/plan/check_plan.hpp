// Whether a plan is one: complete, without contradictions, and for this model and these ranks.
#pragma once

#include "plan/solve.hpp"

namespace llmpq {

/// Error(kUsage): layers that do not follow each other, a format count that is not the layer
/// count, ranks that do not exist or have two stages, pipelines that this version cannot run.
/// Error(kModel): a plan for another model (its name or its layers). Memory is not looked at.
void check_plan(const PlanRequest& request, const Plan& plan);

}  // namespace llmpq
