// The formats of a model whose checkpoint holds integers already (GPTQ, AWQ). Used by decide, which
// plans what runs, and by plan, which also shows what does not run.
#pragma once

#include "base/mpi.hpp"
#include "input/checkpoint.hpp"
#include "input/job.hpp"

namespace llmpq {

/// The job with the one format that holds the stored integers as they are, unless it names formats
/// or a plan itself. `stored` may be null: the job as it is. What becomes of the integers is
/// logged. Error(kModel) if no format holds them, Error(kUsage) if the job leaves the formats to a
/// wish for quality.
Job with_stored_formats(const Job& job, const StoredWeights* stored);

/// The same on every rank; rank 0 logs. Collective.
Job with_stored_formats(const Mpi& mpi, const Job& job, const Checkpoint& checkpoint);

}  // namespace llmpq
