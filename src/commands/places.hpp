// Where a command writes besides its output. Used by all that compute first and write then.
#pragma once

#include "base/mpi.hpp"
#include "input/job.hpp"

namespace llmpq {

/// Before anything is computed, on rank 0, which writes them: the files that options of `command`
/// name, from --save-plan to --trace, can be written. Error(kOutput); and (kUsage) if generate's
/// output would take the place of its prompts, by whatever links.
void check_places(const Job& job, Command command);
/// The same on rank 0, for all ranks. Collective.
void check_places(const Mpi& mpi, const Job& job, Command command);

}  // namespace llmpq
