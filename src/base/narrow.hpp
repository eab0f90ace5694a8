// A double as a float that keeps its side of zero.
#pragma once

#include <cmath>
#include <limits>

namespace llmpq {

/// The nearest float, but never 0 for a value that is not: a number checked to be above 0 as a
/// double is above 0 as a float too (1e-50 becomes the smallest float, 1.4e-45).
inline float narrow_to_float(double value) {
  const auto nearest = static_cast<float>(value);
  if (nearest != 0 || value == 0) return nearest;
  return std::copysign(std::numeric_limits<float>::denorm_min(), nearest);
}

}  // namespace llmpq
