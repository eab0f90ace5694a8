#include "plan/shortest_path.hpp"

#include <algorithm>
#include <limits>

#include "plan/link_costs.hpp"

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

ShortestPath::ShortestPath(const Problem& problem, const DeviceGraph& graph)
    : problem_(problem),
      graph_(graph),
      layers_(problem.layers),
      cost_(static_cast<size_t>(graph.nodes()) * static_cast<size_t>(layers_ + 1)) {}

double ShortestPath::solve(const StageBounds& bounds, const std::vector<double>& device_prices) {
  arc_cost_ = link_costs(problem_, bounds);
  for (auto& to_groups : arc_cost_)
    for (size_t g = 0; g < device_prices.size(); ++g) to_groups[g] += device_prices[g];
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
