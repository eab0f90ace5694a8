// The Gantt chart of a run: stages from top to bottom, time to the right. Used by llmpq bench.
#pragma once

#include <string>
#include <vector>

#include "base/timer.hpp"

namespace llmpq {

struct GanttChart {
  std::string title;
  std::vector<int> ranks;          ///< of the stages, in the pipeline's order
  double begin_s = 0, end_s = 0;   ///< the run, on the events' clock
  std::vector<TraceEvent> events;  ///< of all ranks, sorted by beginning
};

/// A picture as SVG: for each stage a line of its steps (prefill, decode, mixed) and, thinner, one
/// of what it sends. A run with more than kMostBars of them is shown up to where they are so many;
/// the subtitle says so.
inline constexpr size_t kMostBars = 3000;
std::string gantt_svg(const GanttChart& chart);

}  // namespace llmpq
