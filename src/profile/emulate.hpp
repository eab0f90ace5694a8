// --emulate: what makes a rank behave like another device. Pure. Used where ranks are bound.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace llmpq {

/// What one SPEC asks for; nothing = as the device is.
struct Emulation {
  std::optional<int64_t> memory_bytes;  ///< a stage may allocate no more
  std::optional<int> sms;               ///< a GPU computes on so many SMs only
};

/// "none", or "memory=2GiB,sms=8" in any order. Error(kUsage) names the SPEC and the keys there
/// are.
Emulation parse_emulation(const std::string& spec);

/// The emulation of each of `ranks` ranks: none without specs, the same from a single one.
/// Error(kUsage): a wrong spec, or another number of them.
std::vector<Emulation> emulations(const std::vector<std::string>& specs, int ranks);

}  // namespace llmpq
