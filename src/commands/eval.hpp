// `llmpq eval`: how likely the model finds a text, under the very plan and formats that a generate
// job would run.
#pragma once

#include "input/job.hpp"

namespace llmpq {

/// Prints perplexity and tokens; with --json one object that also has each window's score.
/// Collective over all ranks. Returns the exit code.
int run_eval(const Job& job);

}  // namespace llmpq
