// The formats that do least harm, seen from memory alone.
#pragma once

#include <optional>
#include <vector>

#include "plan/optimize.hpp"

namespace llmpq {

/// The assignment with the least sum of omega (to options.gap) among those that keep memory,
/// kernels and order, whatever its time, theta and the bound on omega: LLM-PQ's adaptive bits.
/// Nothing if none keeps them, or none was found within the options' time.
std::optional<Assignment> adapted_bits(const Problem& problem, const OptimizeOptions& options);

/// [layers] the format of each.
std::vector<int> formats_of_layers(const Problem& problem, const Assignment& assignment);

}  // namespace llmpq
