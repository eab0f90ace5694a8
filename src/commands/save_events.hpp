// Who did what when, as files: --timeline, --trace. Used by generate and bench.
#pragma once

#include "base/mpi.hpp"
#include "input/job.hpp"
#include "pipeline/timeline.hpp"

namespace llmpq {

/// Whether the job asks for such a file, and ranks have to keep a timeline for it.
bool wants_events(const Job& job);

/// Gathers what all ranks did since `origin_s` (rank 0's clock) and writes what the job asks for.
/// Collective. Error(kOutput) on rank 0.
void save_events(const Mpi& mpi, const Job& job, const Timeline& mine, double origin_s);

}  // namespace llmpq
