// The formats of a model whose checkpoint holds integers already (GPTQ, AWQ). Used by decide.
#pragma once

#include "base/mpi.hpp"
#include "input/checkpoint.hpp"
#include "input/job.hpp"

namespace llmpq {

/// The job with the one format that holds the checkpoint's integers as they are, unless it names
/// formats or a plan itself, in which case rank 0 logs what is rounded anew. Collective.
/// Error(kModel) if no format holds them, Error(kUsage) if the job leaves the formats to a wish for
/// quality.
Job with_stored_formats(const Mpi& mpi, const Job& job, const Checkpoint& checkpoint);

}  // namespace llmpq
