// `llmpq check`: what each rank would compute on, how fast bytes move, and what would go wrong,
// before a job waits for it in a queue. Under mpirun or srun, or alone.
#pragma once

#include "input/job.hpp"

namespace llmpq {

/// Collective. Prints tables, or one JSON object with --json. Returns 0, or the exit code of the
/// first error that was found.
int run_check(const Job& job);

}  // namespace llmpq
