// Why a plan is as fast as it is, and what would change it: the next device of each kind, a GiB
// more where memory is tightest, and the devices that were left out. Each answer is a plan of the
// changed problem. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/planners.hpp"

namespace llmpq {

/// A change, and the best plan after it.
struct WhatIf {
  std::string change;  ///< "one more T4"
  Planned planned;
};

struct WhatIfs {
  std::string binding;  ///< sentences: what sets the pace, and where memory ends
  std::vector<WhatIf> more_devices;
  std::optional<WhatIf> more_memory;
  std::vector<WhatIf> forced;  ///< devices that have no stage, made to have one
};

/// `best` must have a plan. The ways to cut the work stay those of the problem. Solves a problem
/// for each kind of device and for each kind that has an idle one, a few for each of the latter.
WhatIfs what_if(const Problem& problem, const Planned& best, const OptimizeOptions& options);

std::string describe(const Planned& best, const WhatIfs& answers);

/// {binding, more_devices: [{change, found, time_s, omega, objective}], more_memory, forced}
std::string to_json(const WhatIfs& answers);

}  // namespace llmpq
