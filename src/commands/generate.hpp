// `llmpq generate`: the main job, from prompts to the finished file.
#pragma once

#include "input/job.hpp"

namespace llmpq {

/// Collective over all ranks of the job. Returns the exit code; throws Error for what all ranks
/// agreed on before the run.
int run_generate(const Job& job);

}  // namespace llmpq
