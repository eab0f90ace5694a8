// `llmpq plan`: what generate would do with this job on these ranks, without running it.
#pragma once

#include "input/job.hpp"

namespace llmpq {

/// Prints the plan as a table, or as a plan file with --json. Collective over all ranks.
int run_plan(const Job& job);

}  // namespace llmpq
