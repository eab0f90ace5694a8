// `llmpq bench`: how fast a job would be, without a dataset.
#pragma once

#include "input/job.hpp"

namespace llmpq {

/// Runs made-up prompts through the pipeline that generate would run, once for each --strategy and
/// --mix, and prints speeds, shares and peaks. Nothing is written. Collective over all ranks.
int run_bench(const Job& job);

}  // namespace llmpq
