// A double as a smaller type, which keeps its side of zero.
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>

namespace llmpq {

/// A float: the nearest one, but never 0 for a value that is not: a number checked to be above 0 as
/// a double is above 0 as a float too (1e-50 becomes the smallest float, 1.4e-45). Any other type:
/// the value, which must fit.
template <typename T>
T narrow_to(double value) {
  const auto narrowed = static_cast<T>(value);
  if constexpr (std::is_same_v<T, float>)
    if (narrowed == 0 && value != 0)
      return std::copysign(std::numeric_limits<float>::denorm_min(), narrowed);
  return narrowed;
}

}  // namespace llmpq
