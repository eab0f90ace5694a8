#include "plan/device_graph.hpp"

#include <algorithm>

namespace llmpq {
namespace {

bool links_cost(const ProblemLinks& links) {
  for (size_t from = 0; from < links.latency_s.size(); ++from)
    for (size_t to = 0; to < links.latency_s.size(); ++to)
      if (links.latency_s[from][to] > 0 ||
          links.s_per_byte[from][to] * links.activation_bytes_per_token > 0)
        return true;
  return false;
}

class GraphMaker {
 public:
  explicit GraphMaker(const Problem& problem)
      : problem_(problem),
        groups_(static_cast<int>(problem.groups.size())),
        with_last_(links_cost(problem.links) &&
                   (groups_ > 1 || problem.groups[0].ranks.size() > 1)) {}

  /// A node for each place in the order: the devices before it are used or passed over.
  DeviceGraph in_order() {
    const int devices = static_cast<int>(problem_.order.size());
    resize(devices + 1);
    for (int from = 0; from < devices; ++from)
      for (int to = from + 1; to <= devices; ++to)
        add({from, to, group_at(to - 1), with_last_ && from > 0 ? group_at(from - 1) : -1});
    return std::move(graph_);
  }

  int64_t count_nodes() const {
    int64_t states = 1;
    for (const ProblemGroup& group : problem_.groups) {
      states *= most_used(group) + 1;
      if (states > (int64_t{1} << 40)) break;
    }
    return states * (with_last_ ? groups_ : 1);
  }

  /// A node for each vector of counts (mixed radix), and for each group that may be the last.
  DeviceGraph by_counts() {
    std::vector<int64_t> weight;
    int64_t states = 1;
    for (const ProblemGroup& group : problem_.groups) {
      weight.push_back(states);
      states *= most_used(group) + 1;
    }
    const int lasts = with_last_ ? groups_ : 1;
    resize(static_cast<int>(states) * lasts);
    for (int64_t state = 0; state < states; ++state)
      for (int group = 0; group < groups_; ++group) {
        const auto g = static_cast<size_t>(group);
        const int64_t used = state / weight[g] % (most_used(problem_.groups[g]) + 1);
        if (used == most_used(problem_.groups[g])) continue;
        const auto to = static_cast<int>(state + weight[g]) * lasts + (with_last_ ? group : 0);
        for (int last = 0; last < (state == 0 ? 1 : lasts); ++last)
          add({static_cast<int>(state) * lasts + last, to, group,
               with_last_ && state > 0 ? last : -1});
      }
    return std::move(graph_);
  }

  /// The start, and a node for each last group or one for all.
  DeviceGraph without_counts() {
    const int lasts = with_last_ ? groups_ : 1;
    resize(1 + lasts);
    graph_.counts = false;
    for (int from = 0; from <= lasts; ++from)
      for (int group = 0; group < groups_; ++group)
        add({from, with_last_ ? 1 + group : 1, group, with_last_ && from > 0 ? from - 1 : -1});
    return std::move(graph_);
  }

 private:
  int64_t most_used(const ProblemGroup& group) const {
    return std::min(static_cast<int64_t>(group.ranks.size()),
                    static_cast<int64_t>(problem_.layers));
  }
  int group_at(int place) const {
    const int rank = problem_.order[static_cast<size_t>(place)];
    for (int group = 0; group < groups_; ++group) {
      const auto& ranks = problem_.groups[static_cast<size_t>(group)].ranks;
      if (std::find(ranks.begin(), ranks.end(), rank) != ranks.end()) return group;
    }
    return -1;
  }
  void resize(int nodes) {
    graph_.out.resize(static_cast<size_t>(nodes));
    graph_.in.resize(static_cast<size_t>(nodes));
  }
  void add(const DeviceArc& arc) {
    graph_.out[static_cast<size_t>(arc.from)].push_back(arc);
    graph_.in[static_cast<size_t>(arc.to)].push_back(arc);
  }

  const Problem& problem_;
  const int groups_;
  const bool with_last_;
  DeviceGraph graph_;
};

}  // namespace

DeviceGraph make_device_graph(const Problem& problem, int64_t most_nodes) {
  GraphMaker maker(problem);
  if (!problem.order.empty()) return maker.in_order();
  return maker.count_nodes() <= most_nodes ? maker.by_counts() : maker.without_counts();
}

std::vector<int> ranks_along(const std::vector<ProblemGroup>& groups, const std::vector<int>& order,
                             const std::vector<DeviceArc>& path) {
  std::vector<int> ranks;
  std::vector<size_t> used(groups.size());
  for (const DeviceArc& arc : path) {
    const auto g = static_cast<size_t>(arc.group);
    if (!order.empty()) {
      ranks.push_back(order[static_cast<size_t>(arc.to - 1)]);
    } else {
      if (used[g] == groups[g].ranks.size()) return {};
      ranks.push_back(groups[g].ranks[used[g]++]);
    }
  }
  return ranks;
}

}  // namespace llmpq
