// Which device of a profile file stands for which rank, and links between ranks from transfers that
// were measured. Pure. Used by commands/profiles.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "profile/inventory.hpp"
#include "profile/latency_model.hpp"
#include "profile/profile_json.hpp"
#include "profile/transfers.hpp"

namespace llmpq {

/// A device of the file for each rank, told by its name and backend; where several have the name,
/// the ranks with it take them in turn, and those that remain the last one. `file_name` is for the
/// sentences. Error(kUsage): none has the name, or it was measured for another shape.
std::vector<DeviceProfile> choose_profiles(const ProfileFile& file, const std::string& file_name,
                                           const std::vector<RankReport>& inventory,
                                           const std::string& shape);

/// Seconds per byte between a rank's device and its host's memory: down, up.
using StagingCost = std::array<double, 2>;

/// [from][to], both ways of each transfer; pairs that were not measured are as slow as the slowest.
/// A message from a device passes the host's memory at both ends.
std::vector<std::vector<LinkModel>> link_models(const std::vector<RankTransfer>& transfers,
                                                const std::vector<StagingCost>& staging);

/// Links through the same things are the same: the mean over all pairs that are on one host or on
/// two, and of the same kinds of backends. Without it noise makes all ranks unlike, and a planner
/// could not count equal ones.
std::vector<std::vector<LinkModel>> averaged_links(const std::vector<std::vector<LinkModel>>& links,
                                                   const std::vector<RankReport>& inventory);

}  // namespace llmpq
