// The cheapest way to lay all layers on devices by the bounds of single stages: a shortest path
// over (devices used, layers placed).
#pragma once

#include <vector>

#include "plan/device_graph.hpp"
#include "plan/stage_bounds.hpp"

namespace llmpq {

struct PathStage {
  DeviceArc arc;
  int begin = 0, end = 0;
};

class ShortestPath {
 public:
  ShortestPath(const Problem& problem, const DeviceGraph& graph);

  /// The least sum of stage bounds, links (those slower than the limits are not taken) and
  /// `device_prices` [group] for each device used (empty: none); infinity if there is no way.
  double solve(const StageBounds& bounds, const std::vector<double>& device_prices);
  /// The stages of the way that solve() found.
  std::vector<PathStage> stages(const StageBounds& bounds) const;

  /// After solve(): the least cost from a node with `layers` placed to the end, for all of them.
  void solve_backward(const StageBounds& bounds);
  double to_go(int node, int layers) const { return to_go_[index(node, layers)]; }
  const std::vector<double>& all_to_go() const { return to_go_; }  ///< [node][layers placed]
  /// After solve(): the least cost from the start to a node with `layers` placed.
  double from_start(int node, int layers) const { return cost_[index(node, layers)]; }

  /// What an arc costs beside its stage: the link to it and the device's price.
  double arc_cost(const DeviceArc& arc) const {
    return arc_cost_[static_cast<size_t>(arc.previous_group + 1)][static_cast<size_t>(arc.group)];
  }

 private:
  size_t index(int node, int layers) const {
    return static_cast<size_t>(node) * static_cast<size_t>(layers_ + 1) +
           static_cast<size_t>(layers);
  }

  const Problem& problem_;
  const DeviceGraph& graph_;
  const int layers_;
  std::vector<double> cost_, to_go_;           ///< [node][layers placed]
  std::vector<std::vector<double>> arc_cost_;  ///< [1 + previous group][group]
  int end_node_ = -1;
};

}  // namespace llmpq
