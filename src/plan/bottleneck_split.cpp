#include "plan/bottleneck_split.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kMostNodes = 4096;
/// The first limit on steps grows by this until a partition is found: tight limits leave few
/// lengths for a stage, so that the tries that find nothing cost little.
constexpr double kGrowth = 1.25;

const auto at = [](const auto& list, int index) -> const auto& {
  return list[static_cast<size_t>(index)];
};

class Splitter {
 public:
  Splitter(const Problem& problem, const DeviceGraph& graph, int batching,
           const std::vector<int>& formats)
      : problem_(problem),
        graph_(graph),
        row_(at(problem.batchings, batching)),
        layers_(static_cast<size_t>(problem.layers)) {
    for (const ProblemGroup& group : problem.groups) {
      auto& seconds = seconds_.emplace_back();
      for (int layer = 0; layer < problem.layers; ++layer)
        seconds.push_back(layer_seconds(at(problem.kinds, group.kind), problem.class_of(layer),
                                        at(formats, layer)));
    }
    for (int layer = 0; layer < problem.layers; ++layer) {
      const int c = problem.class_of(layer);
      bytes_.push_back(at(at(problem.layer_bytes, c), at(formats, layer)) +
                       at(row_.kv_bytes_per_layer, c));
    }
  }

  /// The arcs of the best path with the layers of each, last first; nothing if there is none.
  struct Step {
    DeviceArc arc;
    int begin = 0, end = 0;
  };
  std::vector<Step> solve() {
    const double most = fluid_seconds(true), least = fluid_seconds(false);
    if (std::isinf(least)) return {};
    for (double limit = kGrowth * least; limit < most; limit *= kGrowth)
      if (auto path = within(limit); !path.empty()) return path;
    return within(kInfinity);
  }

 private:
  struct State {
    double longest_s = kInfinity;
    const DeviceArc* arc = nullptr;
    int begin = 0;
  };

  /// Infinity: no kernel. A kernel is needed for both phases.
  double layer_seconds(const ProblemKind& kind, int c, int format) const {
    const double decode_s = at(at(at(kind.decode_s, c), format), row_.decode);
    const bool runs =
        !std::isnan(decode_s) && !std::isnan(at(at(at(kind.prefill_s, c), format), row_.prefill));
    return runs ? decode_s : kInfinity;
  }

  double all_layers_s(size_t group) const {
    double sum = 0;
    for (const double seconds : seconds_[group]) sum += seconds;
    return sum;
  }

  /// All layers spread over all devices as if they were a fluid; or on the slowest alone.
  double fluid_seconds(bool slowest) const {
    double rate = 0, longest = 0;
    for (size_t g = 0; g < seconds_.size(); ++g) {
      const double alone = all_layers_s(g);
      if (std::isinf(alone)) return slowest ? kInfinity : partial_floor();
      rate += static_cast<double>(problem_.groups[g].ranks.size()) / alone;
      longest = std::max(longest, alone);
    }
    return slowest ? longest : 1 / rate;
  }

  /// Where a device cannot take every layer: the shortest layer has to stand somewhere.
  double partial_floor() const {
    double least = kInfinity;
    for (const auto& seconds : seconds_)
      least = std::min(least, *std::min_element(seconds.begin(), seconds.end()));
    return least;
  }

  double transfer_s(const DeviceArc& arc) const {
    if (arc.previous_group < 0) return 0;
    const ProblemLinks& links = problem_.links;
    return at(at(links.latency_s, arc.previous_group), arc.group) +
           at(at(links.s_per_byte, arc.previous_group), arc.group) *
               links.activation_bytes_per_token *
               static_cast<double>(at(problem_.decode_sequences, row_.decode));
  }

  size_t index(int node, int layer) const {
    return static_cast<size_t>(node) * (layers_ + 1) + static_cast<size_t>(layer);
  }

  /// The best path whose steps take less than the limit. Nodes are in the order of arcs.
  std::vector<Step> within(double limit) {
    states_.assign(static_cast<size_t>(graph_.nodes()) * (layers_ + 1), {});
    states_[0].longest_s = 0;
    for (int node = 0; node < graph_.nodes(); ++node)
      for (int begin = 0; begin < problem_.layers; ++begin)
        if (states_[index(node, begin)].longest_s < limit)
          for (const DeviceArc& arc : at(graph_.out, node)) add_stages(arc, begin, limit);
    return trace();
  }

  void add_stages(const DeviceArc& arc, int begin, double limit) {
    const ProblemGroup& group = at(problem_.groups, arc.group);
    const ProblemKind& kind = at(problem_.kinds, group.kind);
    const double before = std::max(states_[index(arc.from, begin)].longest_s, transfer_s(arc));
    const double shared = begin == 0 ? row_.shared_bytes : 0;
    double seconds = begin == 0 ? at(kind.embed_decode_s, row_.decode) : 0;
    double bytes = row_.workspace_bytes + (begin == 0 ? row_.first_bytes : 0);
    for (int end = begin + 1; end <= problem_.layers; ++end) {
      seconds += at(at(seconds_, arc.group), end - 1);
      bytes += at(bytes_, end - 1);
      if (seconds >= limit || bytes - shared > group.memory_bytes) return;
      const bool last = end == problem_.layers;
      const double all = seconds + (last ? at(kind.head_decode_s, row_.decode) : 0);
      if (bytes + (last ? row_.last_bytes - shared : 0) > group.memory_bytes) continue;
      State& state = states_[index(arc.to, end)];
      const double longest = std::max(before, all);
      if (longest < std::min(limit, state.longest_s)) state = {longest, &arc, begin};
    }
  }

  std::vector<Step> trace() const {
    int node = 0, layer = problem_.layers;
    double best = kInfinity;
    for (int i = 0; i < graph_.nodes(); ++i)
      if (const double longest = states_[index(i, layer)].longest_s; longest < best) {
        best = longest;
        node = i;
      }
    std::vector<Step> path;
    if (std::isinf(best)) return path;
    while (layer > 0) {
      const State& state = states_[index(node, layer)];
      path.push_back({*state.arc, state.begin, layer});
      layer = state.begin;
      node = state.arc->from;
    }
    return path;
  }

  const Problem& problem_;
  const DeviceGraph& graph_;
  const Batching& row_;
  const size_t layers_;
  std::vector<std::vector<double>> seconds_;  ///< [group][layer]
  std::vector<double> bytes_;                 ///< [layer]
  std::vector<State> states_;                 ///< [node][layers placed]
};

/// A layer's decode step in the format that is fastest there, in the middle of the sizes.
double speed_of(const Problem& problem, const ProblemGroup& group) {
  double least = kInfinity;
  for (const auto& seconds : at(problem.kinds, group.kind).decode_s.at(0))
    if (const double middle = seconds.at(seconds.size() / 2); middle < least) least = middle;
  return least;
}

}  // namespace

SplitGraph split_graph(const Problem& problem) {
  SplitGraph result{make_device_graph(problem, kMostNodes), problem.order};
  if (result.graph.counts) return result;
  std::vector<const ProblemGroup*> groups;
  for (const ProblemGroup& group : problem.groups) groups.push_back(&group);
  std::stable_sort(groups.begin(), groups.end(), [&](const ProblemGroup* a, const ProblemGroup* b) {
    return speed_of(problem, *a) < speed_of(problem, *b);
  });
  Problem ordered = problem;
  for (const ProblemGroup* group : groups)
    ordered.order.insert(ordered.order.end(), group->ranks.begin(), group->ranks.end());
  return {make_device_graph(ordered, kMostNodes), ordered.order};
}

std::optional<Assignment> bottleneck_split(const Problem& problem, const SplitGraph& graph,
                                           int batching, const std::vector<int>& formats) {
  auto steps = Splitter(problem, graph.graph, batching, formats).solve();
  if (steps.empty()) return std::nullopt;
  std::reverse(steps.begin(), steps.end());
  std::vector<DeviceArc> arcs;
  for (const auto& step : steps) arcs.push_back(step.arc);
  const std::vector<int> ranks = ranks_along(problem.groups, graph.order, arcs);
  Assignment assignment{batching, {}};
  for (size_t i = 0; i < steps.size(); ++i)
    assignment.stages.push_back(
        {ranks[i],
         steps[i].begin,
         steps[i].end,
         {formats.begin() + steps[i].begin, formats.begin() + steps[i].end}});
  return assignment;
}

}  // namespace llmpq
