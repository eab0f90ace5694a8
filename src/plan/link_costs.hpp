// What the transfer between two stages adds to the cost of a way to lay layers on devices.
#pragma once

#include <vector>

#include "plan/stage_bounds.hpp"

namespace llmpq {

/// [1 + from group][to group]: the priced seconds of a transfer where transfers count in the sums,
/// else 0; infinity where the link is slower than the limits. Row 0 is all 0: nothing comes before
/// the first stage.
std::vector<std::vector<double>> link_costs(const Problem& problem, const StageBounds& bounds);

}  // namespace llmpq
