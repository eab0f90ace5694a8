// The profile file ("llmpq-profile-1"): what devices and links were measured or are said to do.
// Written by `llmpq profile`, edited by people, read by planner and emulated devices.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "profile/latency_model.hpp"

namespace llmpq {

/// A link between two ranks of the job that measured it, one way.
struct RankLink {
  int from = 0, to = 0;
  LinkModel link;
};

struct ProfileFile {
  std::string note;  ///< for people
  std::vector<DeviceProfile> devices;
  std::vector<RankLink> links;
};

/// The file's text: a key a line, a curve a line. Reading it gives the same numbers, bit for bit.
std::string to_json(const ProfileFile& profile);

/// Error(kUsage) names file and key: a missing table, numbers below 0 or not finite, rows that do
/// not ascend, lists of unequal length, an unknown weight format or backend, an unknown key.
ProfileFile parse_profile(std::string_view text, const std::string& name);
ProfileFile load_profile(const std::filesystem::path& path);

}  // namespace llmpq
