// The orders in which devices can follow each other, as a graph: a node says which devices have
// stages already, an arc gives one more a stage. Devices of a group are counted, never told apart,
// so that orders need not be enumerated; a device that no arc is taken for is left out for free.
#pragma once

#include <vector>

#include "plan/problem.hpp"

namespace llmpq {

struct DeviceArc {
  int from = 0, to = 0;     ///< nodes
  int group = 0;            ///< of the device that gets the stage
  int previous_group = -1;  ///< of the stage before it, for the link; -1: none, or links are free
};

struct DeviceGraph {
  std::vector<std::vector<DeviceArc>> out, in;  ///< [node]; node 0 is the start
  /// Node i stands for exact counts. Not so where there would be too many nodes: then devices may
  /// be used more often than they are there, and prices (device_prices) have to keep them from it.
  bool counts = true;

  int nodes() const { return static_cast<int>(out.size()); }
};

/// Which groups are left with how many devices, and in which order: counts for each group, or the
/// fixed order. `most_nodes`: beyond it, a node for all counts together (one for each last group
/// where links cost something).
DeviceGraph make_device_graph(const Problem& problem, int64_t most_nodes);

/// The ranks of the devices along a path: in a fixed order the arcs say which, else the devices of
/// a group are taken as they come. Empty: a group has too few.
std::vector<int> ranks_along(const std::vector<ProblemGroup>& groups, const std::vector<int>& order,
                             const std::vector<DeviceArc>& path);

}  // namespace llmpq
