// From the optimizer's answer, in a problem's numbers, to a plan that can be run.
#pragma once

#include "plan/evaluate.hpp"
#include "plan/make_problem.hpp"
#include "plan/plan.hpp"

namespace llmpq {

/// `assignment` and its `score` are of made.problem. Stages get their predicted seconds and bytes.
Plan assigned_plan(const PlanRequest& request, const MadeProblem& made,
                   const Assignment& assignment, const Score& score);

/// The problem with one of its formats as the only choice: indices mean the same as before.
Problem with_only_format(const Problem& problem, size_t format);

}  // namespace llmpq
