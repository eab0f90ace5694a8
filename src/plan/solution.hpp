// What a planner found for a problem file, in the problem's own names: for people and as a plan
// file. For plans that a model's run can start from, see assigned_plan.
#pragma once

#include <string>

#include "plan/planners.hpp"

namespace llmpq {

/// A table of the stages and lines about batching, objective, bound, gap and time. `planned` must
/// have a plan.
std::string describe(const Problem& problem, const Planned& planned);

/// The plan file ("llmpq-plan-1"): what only a model would know is null, sizes come from the
/// batching's row, computed fields are filled.
std::string to_json(const Problem& problem, const Planned& planned);

}  // namespace llmpq
