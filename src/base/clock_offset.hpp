// One clock for the ranks of several hosts: how far steady_seconds() of this rank is ahead of
// rank 0's. Used where events of all ranks are put on one axis.
#pragma once

#include "base/mpi.hpp"

namespace llmpq {

struct ClockOffset {
  double offset_s = 0;  ///< this rank's steady_seconds() minus rank 0's
  double error_s = 0;   ///< at most so far off
};

/// 0, exactly, for ranks on rank 0's host, which have the same clock; the others ask it.
/// Collective.
ClockOffset clock_offset(const Mpi& mpi);

/// By messages for all ranks: the reply to the fastest of some questions was made in the middle of
/// its way, give or take half of it (Cristian 1989). Collective.
ClockOffset asked_clock_offset(const Mpi& mpi);

}  // namespace llmpq
