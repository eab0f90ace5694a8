// `llmpq eval`: the quality of the very plan and formats that a generate job would run.
#pragma once

#include "input/job.hpp"

namespace llmpq {

/// Prints what eval_report.hpp describes. Where the job has prompts, the plan is the one that
/// generate would make for them, else one made for what is scored. Collective over all ranks.
/// Returns the exit code.
int run_eval(const Job& job);

}  // namespace llmpq
