// What a rank did when, if somebody wants to know: written by the rank's threads while it runs,
// each its own list; read when the run is over. Used by --timeline, --trace and llmpq bench.
#pragma once

#include <cstdint>
#include <vector>

#include "base/timer.hpp"
#include "layer/step_shape.hpp"
#include "schedule/step.hpp"

namespace llmpq {

/// Lines of one rank in TraceEvent::track.
enum Track : int32_t { kComputing, kSending, kWaiting, kFiles, kOperations };

/// What a step was, for sums over all of them.
struct TimedStep {
  StepKind kind = StepKind::kPrefill;
  StepShape shape;
};

struct Timeline {
  int32_t rank = 0;
  std::vector<TraceEvent> computing;   ///< compute thread
  std::vector<TimedStep> steps;        ///< [computing]
  std::vector<TraceEvent> waiting;     ///< compute thread: a step that could run, and did not yet
  std::vector<TraceEvent> transfers;   ///< MPI thread
  std::vector<TraceEvent> files;       ///< rank 0's I/O thread: reading, writing, committing
  bool with_operations = false;        ///< keep them too; a CPU's only (Stage::time_operations)
  std::vector<TraceEvent> operations;  ///< compute thread: kernels by kind
};

inline constexpr size_t kLongestTimeline = 1'000'000;  ///< events of a list; the rest is left out

/// Appends unless the list is full; false if it was.
inline bool append(std::vector<TraceEvent>& events, TraceEvent event) {
  if (events.size() >= kLongestTimeline) return false;
  events.push_back(std::move(event));
  return true;
}

}  // namespace llmpq
