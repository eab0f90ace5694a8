// What `llmpq profile` prints. Pure.
#pragma once

#include <string>
#include <vector>

#include "commands/profiles.hpp"
#include "profile/inventory.hpp"
#include "profile/profile_json.hpp"

namespace llmpq {

/// Everything that the ranks' profiles are, once for each device that is like no other.
ProfileFile profile_file(const std::vector<RankProfile>& ranks,
                         const std::vector<std::vector<LinkModel>>& links, const std::string& note);

/// For each device: speeds of one layer by format, what attention costs, how far the model errs.
std::string describe(const std::vector<RankProfile>& ranks,
                     const std::vector<RankReport>& inventory,
                     const std::vector<std::vector<LinkModel>>& links);

/// {"ranks": [...], "profile": the file}.
std::string to_json(const std::vector<RankProfile>& ranks, const std::vector<RankReport>& inventory,
                    const ProfileFile& file);

}  // namespace llmpq
