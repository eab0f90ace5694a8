// Which devices can be exchanged for each other: the planner counts them instead of permuting them.
#pragma once

#include <functional>
#include <vector>

#include "profile/latency_model.hpp"

namespace llmpq {

/// Devices of one profile and one memory, by numbers that are equal where these are.
struct DeviceKey {
  size_t profile = 0;
  int64_t memory_bytes = 0;
  bool operator==(const DeviceKey&) const = default;
};

using RankLinks = std::function<LinkModel(int from, int to)>;

/// Ranks by group, lowest first: of equal keys, and with equal links to every other rank, so that
/// swapping two changes nothing. Measured links should be averaged by what they go through, else
/// no two are equal.
std::vector<std::vector<int>> device_groups(const std::vector<DeviceKey>& keys,
                                            const RankLinks& link);

}  // namespace llmpq
