// A plan as people read it.
#pragma once

#include <span>
#include <string>

#include "plan/solve.hpp"

namespace llmpq {

/// Formats run by run: "bf16 x3, w4 x5".
std::string run_lengths(std::span<const Format> formats);

/// One line per stage: rank, device, layers, formats, bytes by use, what the rank may use, and by
/// how much that is too little.
std::string memory_table(const PlanRequest& request, const Plan& plan);

/// The sizes, the table and the ranks that idle.
std::string describe(const PlanRequest& request, const Plan& plan);

}  // namespace llmpq
