// Where formats of a stage may be swapped among its layers, the most sensitive layers get most
// bits. Used by joint, where the limit is on bits and not on omega.
#pragma once

#include <span>

#include "plan/plan.hpp"
#include "profile/rounding.hpp"

namespace llmpq {

/// Exchanges formats within each stage, among layers of one window, so that the sum of
/// omega[layer][format] is the smallest; time and memory stay what they are.
void prefer(std::span<const ByFormat> omega, std::span<const int64_t> windows, Plan& plan);

}  // namespace llmpq
