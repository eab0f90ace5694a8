#include "profile/rank_profiles.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

std::vector<const DeviceProfile*> devices_named(const ProfileFile& file, const RankReport& rank) {
  std::vector<const DeviceProfile*> found;
  for (const DeviceProfile& device : file.devices)
    if (device.device == rank.device && device.backend == rank.backend) found.push_back(&device);
  return found;
}

std::string names_of(const ProfileFile& file) {
  std::vector<std::string> names;
  for (const DeviceProfile& device : file.devices)
    names.push_back(fmt::format("{} ({})", device.device, name(device.backend)));
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::vector<DeviceProfile> choose_profiles(const ProfileFile& file, const std::string& file_name,
                                           const std::vector<RankReport>& inventory,
                                           const std::string& shape) {
  std::vector<DeviceProfile> profiles;
  std::map<std::string, size_t> taken;  // by name
  for (const RankReport& rank : inventory) {
    const auto devices = devices_named(file, rank);
    CHECK(!devices.empty(), Exit::kUsage,
          "{}: rank {} computes on {} ({}), and the profile has {} only: measure it with llmpq "
          "profile",
          file_name, rank.rank, rank.device, name(rank.backend), names_of(file));
    const size_t turn = taken[fmt::format("{} {}", name(rank.backend), rank.device)]++;
    const DeviceProfile& device = *devices[std::min(turn, devices.size() - 1)];
    CHECK(device.shape.empty() || device.shape == shape, Exit::kUsage,
          "{}: {} was measured for layers of another model (shape {}, this model has {}): measure "
          "it with llmpq profile",
          file_name, device.device, device.shape, shape);
    profiles.push_back(device);
  }
  return profiles;
}

std::vector<std::vector<LinkModel>> link_models(const std::vector<RankTransfer>& transfers,
                                                const std::vector<StagingCost>& staging) {
  const size_t ranks = staging.size();
  LinkModel slowest;
  for (const RankTransfer& t : transfers) {
    slowest.latency_s = std::max(slowest.latency_s, 1e-6 * t.latency_us);
    slowest.s_per_byte = std::max(slowest.s_per_byte, 1e-9 / t.gbps);
  }
  std::vector<std::vector<LinkModel>> links(ranks, std::vector<LinkModel>(ranks, slowest));
  for (const RankTransfer& t : transfers) {
    const auto from = static_cast<size_t>(t.from), to = static_cast<size_t>(t.to);
    links.at(from).at(to) = links.at(to).at(from) = {1e-6 * t.latency_us, 1e-9 / t.gbps};
  }
  for (size_t from = 0; from < ranks; ++from) {
    for (size_t to = 0; to < ranks; ++to)
      links[from][to].s_per_byte += staging[from][0] + staging[to][1];
    links[from][from] = {};
  }
  return links;
}

std::vector<std::vector<LinkModel>> averaged_links(const std::vector<std::vector<LinkModel>>& links,
                                                   const std::vector<RankReport>& inventory) {
  const auto kind_of = [&](size_t from, size_t to) {
    const RankReport &a = inventory.at(from), &b = inventory.at(to);
    return std::tuple(a.host == b.host, a.backend, b.backend);
  };
  std::map<std::tuple<bool, BackendKind, BackendKind>, std::pair<LinkModel, int>> sums;
  const auto for_pairs = [&](const auto& visit) {
    for (size_t from = 0; from < links.size(); ++from)
      for (size_t to = 0; to < links.size(); ++to)
        if (from != to) visit(from, to);
  };
  for_pairs([&](size_t from, size_t to) {
    auto& [sum, count] = sums[kind_of(from, to)];
    sum.latency_s += links[from][to].latency_s;
    sum.s_per_byte += links[from][to].s_per_byte;
    ++count;
  });
  auto result = links;
  for_pairs([&](size_t from, size_t to) {
    const auto& [sum, count] = sums.at(kind_of(from, to));
    result[from][to] = {sum.latency_s / count, sum.s_per_byte / count};
  });
  return result;
}

}  // namespace llmpq
