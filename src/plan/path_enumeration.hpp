// All plans of a box that may be below the target, found exactly: closes boxes whose bound stays
// below their plans because a constraint is only priced (omega, the longer of the two queues).
#pragma once

#include <functional>

#include "plan/box.hpp"

namespace llmpq {

struct EnumerationTask {
  const Problem& problem;
  const DeviceGraph& graph;
  StageBounds& bounds;       ///< filled for the box
  const ShortestPath& path;  ///< solved forward and backward
  std::vector<OmegaPrices>& pools;
  const Box& box;
  double constant = 0;              ///< cost of the box's lower ends at its multipliers
  std::array<double, 2> weights{};  ///< what a unit of x_k above the lower end adds
  std::vector<double> least_omega;  ///< [node][layers placed]: of the layers to come; empty: none
};

/// Offers the best plans of the box whose bound is below the target. False: more than `budget`
/// steps, or `is_late`; then the box stays open.
bool enumerate_paths(const EnumerationTask& task, Incumbent& incumbent, int64_t budget,
                     const std::function<bool()>& is_late);

}  // namespace llmpq
