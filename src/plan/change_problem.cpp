#include "plan/change_problem.hpp"

#include <algorithm>
#include <limits>

namespace llmpq {
namespace {

const auto at = [](auto& list, int index) -> auto& { return list[static_cast<size_t>(index)]; };

int next_rank(const Problem& problem) {
  int most = -1;
  for (const ProblemGroup& group : problem.groups)
    for (const int rank : group.ranks) most = std::max(most, rank);
  return most + 1;
}

void link_among_equals(ProblemLinks& links, int group) {
  const auto groups = static_cast<int>(links.latency_s.size());
  int fastest = group;
  const auto worse = [&](int a, int b) {
    return at(at(links.s_per_byte, group), a) > at(at(links.s_per_byte, group), b);
  };
  for (int other = 0; other < groups; ++other)
    if (other != group && (fastest == group || worse(fastest, other))) fastest = other;
  for (auto* table : {&links.latency_s, &links.s_per_byte})
    at(at(*table, group), group) = at(at(*table, group), fastest);
}

void copy_class(Problem& problem, int from) {
  problem.layer_bytes.push_back(at(problem.layer_bytes, from));
  for (Batching& row : problem.batchings)
    row.kv_bytes_per_layer.push_back(at(row.kv_bytes_per_layer, from));
  for (ProblemKind& kind : problem.kinds) {
    kind.prefill_s.push_back(at(kind.prefill_s, from));
    kind.decode_s.push_back(at(kind.decode_s, from));
  }
}

/// A kind that only this group has.
int own_kind(Problem& problem, int group) {
  problem.kinds.push_back(at(problem.kinds, at(problem.groups, group).kind));
  return at(problem.groups, group).kind = static_cast<int>(problem.kinds.size()) - 1;
}

}  // namespace

Problem with_another_device(const Problem& problem, int group) {
  Problem result = problem;
  auto& ranks = at(result.groups, group).ranks;
  const int rank = next_rank(problem);
  if (ranks.size() == 1) link_among_equals(result.links, group);
  if (!result.order.empty()) {
    const auto last = std::find_if(result.order.rbegin(), result.order.rend(),
                                   [&](int other) { return problem.group_of(other) == group; });
    result.order.insert(last.base(), rank);
  }
  ranks.push_back(rank);
  return result;
}

Problem with_own_group(const Problem& problem, int rank) {
  Problem result = problem;
  const int group = problem.group_of(rank);
  ProblemGroup own = at(result.groups, group);
  if (own.ranks.size() == 1) {  // only its place changes
    std::swap(at(result.groups, group), result.groups.back());
    for (auto* table : {&result.links.latency_s, &result.links.s_per_byte}) {
      std::swap(at(*table, group), table->back());
      for (auto& row : *table) std::swap(at(row, group), row.back());
    }
    return result;
  }
  std::erase(at(result.groups, group).ranks, rank);
  own.ranks = {rank};
  result.groups.push_back(std::move(own));
  for (auto* table : {&result.links.latency_s, &result.links.s_per_byte}) {
    for (auto& row : *table) row.push_back(at(row, group));
    table->push_back(at(*table, group));
  }
  return result;
}

Problem with_layer_on(const Problem& problem, int group, int layer) {
  Problem result = problem;
  if (result.layer_class.empty()) result.layer_class.assign(static_cast<size_t>(problem.layers), 0);
  copy_class(result, problem.class_of(layer));
  at(result.layer_class, layer) = result.classes() - 1;
  const int kind = own_kind(result, group);
  for (int k = 0; k < static_cast<int>(result.kinds.size()); ++k) {
    if (k == kind) continue;
    for (LayerSeconds* table : {&at(result.kinds, k).prefill_s, &at(result.kinds, k).decode_s})
      for (auto& seconds : table->back())
        std::fill(seconds.begin(), seconds.end(), std::numeric_limits<double>::quiet_NaN());
  }
  return result;
}

}  // namespace llmpq
