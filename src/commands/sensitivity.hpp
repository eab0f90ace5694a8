// llmpq sensitivity: which layers suffer how much from which weight format, measured on a text or
// on the job's prompts, and what that means for the perplexity.
#pragma once

#include "input/job.hpp"

namespace llmpq {

/// Returns the exit code. Collective: every rank calls it with the same job.
int run_sensitivity(const Job& job);

}  // namespace llmpq
