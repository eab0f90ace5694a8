// The best quality that memory allows, whatever the speed: the smallest sum of omega. Used where
// nobody asked for fewer bits than needed, to say what would fit, and by the adabits baseline.
#pragma once

#include <optional>

#include "plan/optimize.hpp"

namespace llmpq {

/// A plan whose sum of omega is the smallest, to options.gap; its time is any, and the bound on
/// omega and theta of the problem do not count. score.objective and lower_bound are sums of omega.
Optimum least_omega(const Problem& problem, const OptimizeOptions& options);

}  // namespace llmpq
