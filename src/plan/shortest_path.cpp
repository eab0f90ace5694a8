#include "plan/shortest_path.hpp"

#include <algorithm>
#include <limits>

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

ShortestPath::ShortestPath(const Problem& problem, const DeviceGraph& graph)
    : problem_(problem),
      graph_(graph),
      layers_(problem.layers),
      groups_(static_cast<int>(problem.groups.size())),
      cost_(static_cast<size_t>(graph.nodes()) * static_cast<size_t>(layers_ + 1)),
      arc_cost_(static_cast<size_t>(groups_ + 1) * static_cast<size_t>(groups_)) {}

double ShortestPath::arc_cost(const DeviceArc& arc) const {
  return arc_cost_[static_cast<size_t>((arc.previous_group + 1) * groups_ + arc.group)];
}

void ShortestPath::set_arc_costs(const StageBounds& bounds,
                                 const std::vector<double>& device_prices) {
  const StageTask task = bounds.task(0, 0, 0);
  for (int from = -1; from < groups_; ++from)
    for (int to = 0; to < groups_; ++to) {
      double cost = device_prices.empty() ? 0 : device_prices[static_cast<size_t>(to)];
      if (from >= 0) {
        const Load& link =
            bounds.state().costs.link[static_cast<size_t>(from)][static_cast<size_t>(to)];
        if (link.use[1] > task.limits[1] || link.use[2] > task.limits[2]) cost = kInfinity;
        if (problem_.links.in_sum) cost += task.prices.of(link);
      }
      arc_cost_[static_cast<size_t>((from + 1) * groups_ + to)] = cost;
    }
}

double ShortestPath::solve(const StageBounds& bounds, const std::vector<double>& device_prices) {
  set_arc_costs(bounds, device_prices);
  std::fill(cost_.begin(), cost_.end(), kInfinity);
  cost_[0] = 0;
  for (int begin = 0; begin < layers_; ++begin)
    for (int node = 0; node < graph_.nodes(); ++node) {
      const double here = cost_[index(node, begin)];
      if (here == kInfinity) continue;
      for (const DeviceArc& arc : graph_.out[static_cast<size_t>(node)]) {
        const double start = here + arc_cost(arc);
        if (start == kInfinity) continue;
        const double* stage = bounds.row(arc.group, begin);
        double* to = &cost_[index(arc.to, 0)];
        const int furthest = bounds.furthest(arc.group, begin);
        for (int end = begin + 1; end <= furthest; ++end)
          to[end] = std::min(to[end], start + stage[end]);
      }
    }
  double least = kInfinity;
  for (int node = 0; node < graph_.nodes(); ++node)
    if (cost_[index(node, layers_)] < least) {
      least = cost_[index(node, layers_)];
      end_node_ = node;
    }
  return least;
}

std::vector<PathStage> ShortestPath::stages(const StageBounds& bounds) const {
  std::vector<PathStage> path;
  int node = end_node_, end = layers_;
  const auto step_back = [&] {
    for (const DeviceArc& arc : graph_.in[static_cast<size_t>(node)])
      for (int begin = end - 1; begin >= 0; --begin) {
        const double start = cost_[index(arc.from, begin)] + arc_cost(arc);
        if (start == kInfinity || bounds.furthest(arc.group, begin) < end ||
            start + bounds.at(arc.group, begin, end) != cost_[index(node, end)])
          continue;
        path.push_back({arc, begin, end});
        node = arc.from;
        end = begin;
        return true;
      }
    return false;
  };
  while (end > 0)
    if (!step_back()) return {};
  std::reverse(path.begin(), path.end());
  return path;
}

void ShortestPath::solve_backward(const StageBounds& bounds) {
  to_go_.assign(cost_.size(), kInfinity);
  for (int node = 0; node < graph_.nodes(); ++node) to_go_[index(node, layers_)] = 0;
  for (int begin = layers_ - 1; begin >= 0; --begin)
    for (int node = 0; node < graph_.nodes(); ++node) {
      double least = kInfinity;
      for (const DeviceArc& arc : graph_.out[static_cast<size_t>(node)]) {
        const double start = arc_cost(arc);
        const double* stage = bounds.row(arc.group, begin);
        const double* rest = &to_go_[index(arc.to, 0)];
        for (int end = begin + 1; end <= bounds.furthest(arc.group, begin); ++end)
          least = std::min(least, start + stage[end] + rest[end]);
      }
      to_go_[index(node, begin)] = least;
    }
}

}  // namespace llmpq
