// How the stages of a run spent its time: computing, waiting for activations that were on their
// way, or with nothing to do. Pure. Used by llmpq bench.
#pragma once

#include <vector>

#include "base/timer.hpp"
#include "schedule/simulate.hpp"

namespace llmpq {

/// Of one stage; busy, link and bubble add up to the run.
struct StageTime {
  ByKind<double> busy_s;  ///< computing, by the kind of step
  double link_s = 0;      ///< not computing while something for it was being sent
  double bubble_s = 0;    ///< the rest: nothing to compute
};

/// `events` are what a Timeline holds, of all ranks on one clock; those of stage j carry rank
/// `ranks[j]`. The run is [begin_s, end_s). What the last stage sends are tokens for rank 0, for
/// which the first stage waits; where stages are linked from GPU to GPU nothing is sent that could
/// be seen, and waiting counts as bubble.
std::vector<StageTime> stage_times(const std::vector<TraceEvent>& events,
                                   const std::vector<int>& ranks, double begin_s, double end_s);

}  // namespace llmpq
