// What a warpgroup's warps do together on Hopper: wgmma, whose products are under way until their
// group is waited for, and setmaxnreg. A warp multiplies its 16 rows of the 64; that its
// warpgroup's other warps do the same is checked.
#pragma once

#include <cstdint>

#include "halves.hpp"

namespace llmpq::emulated {

/// One lane's part of wgmma.m64nNk16 with A from registers: `count` sums, four registers of A. Both
/// are the product's until its group is waited for: the sums are NaN, and writing either is fail().
struct LaneProduct {
  Half type;
  float* sums;
  int count;
  const uint32_t* a;
  uint64_t descriptor;  ///< of B
};
void start_product(const LaneProduct& mine);

/// wgmma.fence, which every group begins with; wgmma.commit_group, wgmma.wait_group.
void fence_products();
void close_products();
void wait_for_products(int later);

/// setmaxnreg: so many registers for each of the warp's threads from here on, of those of a block
/// of `threads` that has an SM's. Taking them waits for others to give them.
void give_registers(int registers, int threads);
void take_registers(int registers, int threads);

}  // namespace llmpq::emulated
