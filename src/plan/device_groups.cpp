#include "plan/device_groups.hpp"

#include <algorithm>

namespace llmpq {
namespace {

bool equal(const LinkModel& a, const LinkModel& b) {
  return a.latency_s == b.latency_s && a.s_per_byte == b.s_per_byte;
}

/// Whether swapping the two ranks changes nothing. That goes on: if a and b can be swapped, and a
/// and c, then so can b and c.
bool exchangeable(const std::vector<DeviceKey>& keys, const RankLinks& link, int a, int b) {
  if (!(keys[static_cast<size_t>(a)] == keys[static_cast<size_t>(b)])) return false;
  if (!equal(link(a, b), link(b, a))) return false;
  for (int other = 0; other < static_cast<int>(keys.size()); ++other) {
    if (other == a || other == b) continue;
    if (!equal(link(a, other), link(b, other)) || !equal(link(other, a), link(other, b)))
      return false;
  }
  return true;
}

}  // namespace

std::vector<std::vector<int>> device_groups(const std::vector<DeviceKey>& keys,
                                            const RankLinks& link) {
  std::vector<std::vector<int>> groups;
  for (int rank = 0; rank < static_cast<int>(keys.size()); ++rank) {
    const auto at = std::find_if(groups.begin(), groups.end(), [&](const auto& group) {
      return exchangeable(keys, link, group.front(), rank);
    });
    if (at == groups.end())
      groups.push_back({rank});
    else
      at->push_back(rank);
  }
  return groups;
}

}  // namespace llmpq
