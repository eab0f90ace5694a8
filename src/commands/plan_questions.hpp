// `llmpq plan --max-batch`, `--max-context`, `--min-bits`: the most that fits, instead of a plan.
#pragma once

#include "input/job.hpp"
#include "plan/solve.hpp"

namespace llmpq {

/// Whether the job asks one of these.
bool asks_question(const Job& job);

/// Prints the answer, a sentence or JSON, and returns the exit code: 3 where nothing fits at all.
int answer_question(const Job& job, const PlanRequest& request);

}  // namespace llmpq
