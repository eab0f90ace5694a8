// What llmpq plan shows beside a plan's table: all strategies side by side, the curve between
// quality and speed, the picture, what would change the plan.
#pragma once

#include <string>

#include "input/job.hpp"
#include "plan/compare.hpp"

namespace llmpq {

OptimizeOptions optimize_options(const Job& job);

/// The planner behind a strategy that stands for one.
Planner planner_of(Strategy strategy);

/// Prints the comparison, as a table or JSON.
int print_comparison(const Job& job, const Problem& problem, const Comparison& comparison);

/// Prints the curve, and draws it where the job says so. Error(kNoPlan): there is no plan.
int print_sweep(const Job& job, const Problem& problem);

/// Draws the plan where the job says so.
void draw_plan(const Job& job, const Problem& problem, const Planned& planned);

/// --explain: a table, or JSON; "" if the job does not ask.
std::string what_would_change(const Job& job, const Problem& problem, const Planned& planned);

}  // namespace llmpq
