// `llmpq profile`: how long this model's layers take on each rank's device, and what the latency
// model that is fitted to it is worth.
#pragma once

#include "input/job.hpp"

namespace llmpq {

/// Measures what is not known yet, prints tables or, with --json, one object, and writes
/// --save-profile. Collective over all ranks.
int run_profile(const Job& job);

}  // namespace llmpq
