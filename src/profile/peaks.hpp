// What the ranks' devices can do at most, measured by all of them at the same time: ranks on one
// device, or on the CPUs of one host, get the share that they would have in a run.
#pragma once

#include <vector>

#include "base/mpi.hpp"
#include "kernels/peaks.hpp"

namespace llmpq {

/// By rank, on every rank. Collective; 1 to 3 s. Error(kNoPlan) where a rank's memory is short.
std::vector<Peaks> measure_peaks_of_ranks(const Mpi& mpi, Backend& backend, Isa isa);

}  // namespace llmpq
