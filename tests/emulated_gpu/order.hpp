// In which order threads and blocks run, and what else is left to chance: LLMPQ_EMULATED_ORDER is
// in-order (the default), reversed, or a number that seeds a random one.
#pragma once

#include <cstdint>
#include <vector>

namespace llmpq::emulated {

enum class Order { kInOrder, kReversed, kRandom };

Order order();
/// The numbers 0 .. count - 1 in that order.
std::vector<uint32_t> ordered(uint32_t count);

}  // namespace llmpq::emulated
