// Who did what when, as files: --timeline, --trace, --svg. Used by generate and bench.
#pragma once

#include <vector>

#include "base/mpi.hpp"
#include "input/job.hpp"
#include "pipeline/timeline.hpp"
#include "plan/plan.hpp"

namespace llmpq {

/// Whether the job asks for such a file, and ranks have to keep a timeline for it.
bool wants_events(const Job& job);

/// What all ranks did, on rank 0's clock; nothing on the others. Tells how well the clocks of
/// several hosts agree. Collective.
std::vector<TraceEvent> collect_events(const Mpi& mpi, const Timeline& mine);

/// A run of a plan, from begin_s to end_s on rank 0's clock.
struct EventsOfRun {
  const Plan& plan;
  const std::vector<TraceEvent>& events;  ///< collect_events()'
  double begin_s = 0, end_s = 0;
};
/// Writes what the job asks for. Collective. Error(kOutput) on all ranks.
void save_events(const Mpi& mpi, const Job& job, const EventsOfRun& run);

}  // namespace llmpq
