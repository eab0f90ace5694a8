#include "plan/beam.hpp"

#include <algorithm>
#include <limits>
#include <map>

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr size_t kWidth = 48;  // ways kept for each number of layers placed

/// A way to place the first layers.
struct Way {
  int node = 0;
  std::vector<int> used;  ///< [group]
  double cost = 0;        ///< with the prices of devices
  double promise = 0;     ///< cost and cost-to-go
  int before = -1;        ///< index of the way that this one continues
  int begin = 0;
  DeviceArc arc;
};

class Beam {
 public:
  Beam(const Problem& problem, const DeviceGraph& graph, StageBounds& bounds,
       const ShortestPath& path, size_t width)
      : problem_(problem), graph_(graph), bounds_(bounds), path_(path), width_(width) {}

  /// The best way to place all layers as stages; empty if the beam lost all.
  std::vector<PathStage> search() {
    ways_.push_back({0, std::vector<int>(problem_.groups.size()), 0, 0, -1, 0, {}});
    levels_.resize(static_cast<size_t>(problem_.layers + 1));
    levels_[0].push_back(0);
    for (size_t g = 0; g < problem_.groups.size(); ++g)
      most_layers_.push_back(bounds_.most_layers(static_cast<int>(g)));
    for (int layers = 0; layers < problem_.layers; ++layers) {
      keep_best(levels_[static_cast<size_t>(layers)]);
      for (const int way : levels_[static_cast<size_t>(layers)]) extend(way, layers);
    }
    keep_best(levels_.back());
    return levels_.back().empty() ? std::vector<PathStage>{} : stages(levels_.back()[0]);
  }

 private:
  void extend(int index, int layers) {
    for (const DeviceArc& arc :
         graph_.out[static_cast<size_t>(ways_[static_cast<size_t>(index)].node)]) {
      const Way way = ways_[static_cast<size_t>(index)];
      const auto g = static_cast<size_t>(arc.group);
      if (way.used[g] == static_cast<int>(problem_.groups[g].ranks.size())) continue;
      for (int end = layers + 1; end <= bounds_.furthest(arc.group, layers); ++end) {
        const double cost = way.cost + path_.arc_cost(arc) + bounds_.at(arc.group, layers, end);
        const double promise = cost + path_.to_go(arc.to, end);
        if (!(promise < kInfinity)) continue;
        Way next{arc.to, way.used, cost, promise, index, layers, arc};
        ++next.used[g];
        if (end + layers_left(next) < problem_.layers) continue;  // the devices left are too few
        levels_[static_cast<size_t>(end)].push_back(static_cast<int>(ways_.size()));
        ways_.push_back(std::move(next));
      }
    }
  }

  /// How many layers the unused devices can hold.
  int64_t layers_left(const Way& way) const {
    int64_t layers = 0;
    for (size_t g = 0; g < most_layers_.size(); ++g)
      layers +=
          (static_cast<int64_t>(problem_.groups[g].ranks.size()) - way.used[g]) * most_layers_[g];
    return layers;
  }

  /// The best `width` of a level, one for each way to have used devices.
  void keep_best(std::vector<int>& level) {
    std::sort(level.begin(), level.end(),
              [&](int a, int b) { return way(a).promise < way(b).promise; });
    std::map<std::pair<int, std::vector<int>>, bool> seen;
    std::vector<int> kept;
    for (const int index : level) {
      if (kept.size() == width_) break;
      if (seen.emplace(std::pair(way(index).node, way(index).used), true).second)
        kept.push_back(index);
    }
    level = std::move(kept);
  }

  std::vector<PathStage> stages(int index) const {
    std::vector<PathStage> stages;
    for (int end = problem_.layers; end > 0; index = way(index).before) {
      stages.push_back({way(index).arc, way(index).begin, end});
      end = way(index).begin;
    }
    std::reverse(stages.begin(), stages.end());
    return stages;
  }
  const Way& way(int index) const { return ways_[static_cast<size_t>(index)]; }

  const Problem& problem_;
  const DeviceGraph& graph_;
  StageBounds& bounds_;
  const ShortestPath& path_;
  const size_t width_;
  std::vector<int> most_layers_;  ///< [group]
  std::vector<Way> ways_;
  std::vector<std::vector<int>> levels_;  ///< [layers placed] indices of ways
};

}  // namespace

void search_beam(const Problem& problem, const DeviceGraph& graph, StageBounds& bounds,
                 ShortestPath& path, const Box& box, Incumbent& incumbent) {
  path.solve_backward(bounds);
  const std::vector<PathStage> stages =
      Beam(problem, graph, bounds, path, kWidth << box.effort).search();
  std::vector<StageChoice> choices;
  for (const PathStage& stage : stages) {
    choices.push_back(bounds.solve(stage.arc.group, stage.begin, stage.end));
    if (!choices.back().feasible) return;
  }
  std::vector<BuiltStage> built;
  for (size_t i = 0; i < stages.size(); ++i)
    built.push_back({stages[i].arc, stages[i].begin, stages[i].end, &choices[i]});
  if (!built.empty()) incumbent.offer(box.batching, built);
}

}  // namespace llmpq
