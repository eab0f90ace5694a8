// Doubles that stand for integers.
#pragma once

#include <cmath>

namespace llmpq {

/// An integer to which no other one was rounded: below 2^53 each has a double of its own.
inline bool is_whole(double value) {
  return value == std::floor(value) && std::abs(value) < 0x1p53;
}

}  // namespace llmpq
