// The largest values of a row without sorting it: where to cut so that the values above the cut are
// so many, or weigh so much. Values are ordered from large to small, equal ones by their index: one
// total order, so the answer is exact and unique. Used by the CPU's sampling for top-k and top-p.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace llmpq {

/// Keeps every value whose order_key is above `key`, and the first `ties` of those equal to it.
struct Cut {
  uint32_t key = 0;
  int64_t ties = std::numeric_limits<int64_t>::max();
};

/// The cut that keeps the `count` largest values (all if there are fewer). count >= 1.
Cut cut_by_count(std::span<const float> values, int64_t count);

/// The cut that keeps the fewest largest weights whose masses (softmax.hpp) reach `wanted`, all if
/// they never do. wanted >= 1.
Cut cut_by_mass(std::span<const float> weights, uint64_t wanted);

/// Sets every value that the cut does not keep to `rest`.
void apply(Cut cut, std::span<float> values, float rest);

/// The indices of the `count` largest values, largest first.
std::vector<int32_t> largest(std::span<const float> values, int64_t count);

}  // namespace llmpq
