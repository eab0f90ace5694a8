// From the optimizer's answer, in a problem's numbers, to a plan that can be run.
#pragma once

#include "plan/evaluate.hpp"
#include "plan/make_problem.hpp"
#include "plan/plan.hpp"

namespace llmpq {

/// `assignment` and its `score` are of made.problem. Stages get their predicted seconds and bytes.
Plan assigned_plan(const PlanRequest& request, const MadeProblem& made,
                   const Assignment& assignment, const Score& score);

}  // namespace llmpq
