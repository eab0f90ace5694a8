// --emulate: what makes a rank behave like another device. Pure. Used where ranks are bound.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/formats.hpp"

namespace llmpq {

/// Whose factor a part of a step takes: steps that have prefill rows count as prefill.
enum class Phase : uint8_t { kPrefill, kDecode };

/// How many times the CPU seconds that its computing took a part of a step lasts.
class Slowdown {
 public:
  /// Of a layer or head in `format`, or of what has none (embedding): FORMAT.phase before phase
  /// before slowdown before 1.
  double factor(Phase phase, std::optional<Format> format) const;
  /// The smallest of all: what the device needs most of a core is one part in so many.
  double least() const;
  /// False if there is one already.
  bool set(std::optional<Phase> phase, std::optional<Format> format, double factor);
  bool empty() const { return factors_.empty(); }

 private:
  std::map<std::pair<std::optional<Phase>, std::optional<Format>>, double> factors_;
};

/// What one SPEC asks for; nothing = as the device is.
struct Emulation {
  std::optional<int64_t> memory_bytes;  ///< a stage may allocate no more
  std::optional<int> sms;               ///< a GPU computes on so many SMs only
  // The clock, one of two:
  std::filesystem::path profile;  ///< a step lasts what this profile says; empty: no such clock
  Slowdown slowdown;              ///< a step lasts a multiple of its CPU time; empty: no such clock
  std::string clock;              ///< the items of SPEC that make the clock; empty without one
};

/// "none", or items such as "memory=2GiB,sms=8,slowdown=3,w4.prefill=2" in any order.
/// Error(kUsage) names the SPEC and the keys there are.
Emulation parse_emulation(const std::string& spec);

/// The emulation of each of `ranks` ranks: none without specs, the same from a single one.
/// Error(kUsage): a wrong spec, or another number of them.
std::vector<Emulation> emulations(const std::vector<std::string>& specs, int ranks);

/// What a rank takes of its host while it computes.
struct CoreNeed {
  int rank = 0;
  std::string host, cpus;  ///< the CPUs that it may run on: ranks with the same ones share them
  int usable_cpus = 1;     ///< how many those are
  bool emulated = false;   ///< has a clock
  double cores = 0;        ///< mean over a step, in cores
};
/// Emulated times hold only where the host has room: Error(kUsage) for a host on which a device is
/// emulated and whose ranks together need more than 70 % of its cores.
void check_cores(const std::vector<CoreNeed>& ranks);

}  // namespace llmpq
