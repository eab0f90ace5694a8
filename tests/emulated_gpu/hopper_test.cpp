#include "kernels/cuda/hopper.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "emulated_kernel.hpp"

namespace llmpq::emulated {
namespace {

constexpr int kBarriersAt = 8192;  ///< of shared memory
constexpr unsigned kWarpgroup = 128;

uint32_t address_of(int byte) { return cuda::shared_address(dynamic_shared() + byte); }

/// A barrier is initialized and shown by thread 0, for all.
uint32_t shared_barrier(int number, int arrivals) {
  const uint32_t barrier = address_of(kBarriersAt + 8 * number);
  if (threadIdx.x == 0) {
    cuda::barrier_init(barrier, arrivals);
    cuda::fence_barrier_init();
  }
  cuda::cluster_sync();
  return barrier;
}

std::vector<uint32_t> numbers(size_t count) {
  std::vector<uint32_t> result(count);
  for (size_t i = 0; i < count; ++i) result[i] = static_cast<uint32_t>(7 * i + 1);
  return result;
}

/// A thread loads stages of 32 numbers into a ring of two; a warp reads them.
TEST(EmulatedHopper, RingOfStages) {
  constexpr int kSteps = 9, kBytes = 128;
  alignas(16) static uint32_t from[kSteps * 32];
  const std::vector<uint32_t> wanted = numbers(kSteps * 32);
  std::copy(wanted.begin(), wanted.end(), from);
  run_kernel({64}, [&] {
    const uint32_t full = shared_barrier(0, 1);
    shared_barrier(1, 1);
    const uint32_t free = shared_barrier(2, 1);
    shared_barrier(3, 1);
    for (int step = 0; step < kSteps; ++step) {
      const int stage = step % 2;
      const uint32_t parity = static_cast<uint32_t>(step / 2 % 2), at = 8 * stage;
      if (threadIdx.x == 32) {
        cuda::barrier_wait(free + at, parity ^ 1);
        cuda::barrier_expect(full + at, kBytes);
        cuda::copy_bulk(address_of(stage * kBytes), from + 32 * step, kBytes, full + at);
      } else if (threadIdx.x < 32) {
        cuda::barrier_wait(full + at, parity);
        EXPECT_EQ(shared_as<uint32_t>(stage * kBytes)[lane()], wanted[32 * step + lane()]);
        __syncwarp();
        if (lane() == 0) cuda::barrier_arrive(free + at);
      }
    }
  });
}

/// Each block of a cluster loads its part for both, and tells both that it has read.
TEST(EmulatedHopper, BlocksLoadForEachOther) {
  alignas(16) static uint32_t from[64];
  const std::vector<uint32_t> wanted = numbers(64);
  std::copy(wanted.begin(), wanted.end(), from);
  run_kernel({32, 2}, [&] {
    const uint32_t full = shared_barrier(0, 1), read = shared_barrier(1, 2);
    const uint32_t rank = cuda::cluster_rank();
    if (lane() == 0) {
      cuda::barrier_expect(full, 256);
      cuda::copy_bulk_to_all(address_of(0) + 128 * rank, from + 32 * rank, 128, full, 3);
    }
    cuda::barrier_wait(full, 0);
    for (int i = lane(); i < 64; i += 32)
      EXPECT_EQ(shared_as<uint32_t>()[i], wanted[static_cast<size_t>(i)]);
    __syncwarp();
    if (lane() < 2) cuda::barrier_arrive_at(read, static_cast<uint32_t>(lane()));
    cuda::barrier_wait(read, 0);
    cuda::cluster_sync();
  });
}

/// What the threads of a warpgroup multiply: A 64 x 16, B with 128 columns.
struct WgmmaCase {
  static int a(int row, int k) { return (row + 3 * k) % 9 - 4; }
  static int b(int k, int column) { return (5 * k + column) % 7 - 3; }

  uint32_t registers[4];
  uint64_t descriptor;
  float sums[64] = {};

  /// Puts B into shared memory, 16 halves of rows of 128 bytes, swizzled.
  WgmmaCase() {
    const int column = static_cast<int>(threadIdx.x % kWarpgroup);
    for (int k = 0; k < 16; ++k)
      shared_as<uint16_t>(128 * column)[(k / 8 ^ column % 8) * 8 + k % 8] =
          rounded<Half::kBf16>(1.0f * b(k, column));
    const int row = static_cast<int>(threadIdx.x) / 32 * 16 + lane() / 4, k = lane() % 4 * 2;
    for (int i = 0; i < 4; ++i) {
      const auto half = [&](int j) {
        return uint32_t{rounded<Half::kBf16>(1.0f * a(row + i % 2 * 8, k + i / 2 * 8 + j))};
      };
      registers[i] = half(0) | half(1) << 16;
    }
    const uint64_t address = address_of(0) & 0x3ffff;
    descriptor = address >> 4 | uint64_t{1024 >> 4} << 32 | uint64_t{1} << 62;
    __syncthreads();
  }
  void start() { cuda::add_products<__nv_bfloat16>(sums, registers, descriptor); }
  static int wanted(int i) {
    const int row = static_cast<int>(threadIdx.x) / 32 * 16 + lane() / 4 + i / 2 % 2 * 8;
    const int column = i / 4 * 8 + lane() % 4 * 2 + i % 2;
    int sum = 0;
    for (int k = 0; k < 16; ++k) sum += a(row, k) * b(k, column);
    return sum;
  }
};
constexpr KernelShape kWgmmaShape{kWarpgroup, 1, 16384};

TEST(EmulatedHopper, ProductOfAWarpgroupIsThatOfMatrices) {
  run_kernel(kWgmmaShape, [] {
    WgmmaCase mine;
    cuda::products_fence();
    mine.start();
    mine.start();
    cuda::end_products();
    EXPECT_TRUE(std::isnan(mine.sums[lane()])) << "sums can be seen before they are there";
    cuda::wait_for_products<0>();
    for (int i = 0; i < 64; ++i)
      EXPECT_EQ(mine.sums[i], static_cast<float>(2 * mine.wanted(i))) << lane() << " " << i;
  });
}

TEST(EmulatedHopper, NewerGroupsKeepTheSums) {
  run_kernel(kWgmmaShape, [] {
    WgmmaCase mine;
    for (int group = 0; group < 3; ++group) {
      cuda::products_fence();
      mine.start();
      cuda::end_products();
      cuda::wait_for_products<1>();
      EXPECT_TRUE(std::isnan(mine.sums[0]));
    }
    cuda::wait_for_products<0>();
    EXPECT_EQ(mine.sums[5], static_cast<float>(3 * mine.wanted(5)));
  });
}

TEST(EmulatedHopper, RegistersGoFromOneWarpgroupToOthers) {
  run_kernel({3 * kWarpgroup}, [] {  // 168 for each, 40 + 2 * 232 = 3 * 168
    if (threadIdx.x < kWarpgroup)
      cuda::give_registers<40>();
    else
      cuda::take_registers<232>();
  });
}

TEST(EmulatedHopperDeathTest, BarriersAreUsedWrongly) {
  EXPECT_DEATH(run_kernel({}, [] { cuda::barrier_wait(shared_barrier(0, 1), 0); }),
               "32 for mbarrier");
  EXPECT_DEATH(run_kernel({}, [] { cuda::barrier_arrive(address_of(kBarriersAt)); }),
               "mbarrier at .*: there is no initialized barrier");
  EXPECT_DEATH(run_kernel({},
                          [] {
                            const uint32_t barrier = shared_barrier(0, 1);
                            if (lane() != 0) return;
                            cuda::barrier_expect(barrier, 16);
                            cuda::barrier_arrive(barrier);
                          }),
               "gets more arrivals than it was initialized with");
}

TEST(EmulatedHopperDeathTest, ABlockEndsBeforeOthersArriveAtItsBarrier) {
  EXPECT_DEATH(run_kernel({32, 2},
                          [] {
                            const uint32_t read = shared_barrier(0, 1);
                            if (cuda::cluster_rank() == 0) return;
                            wait_for([] { return block_has_ended(0); });
                            cuda::barrier_arrive_at(read, 0);
                          }),
               "block 0 of the cluster has ended");
}

TEST(EmulatedHopperDeathTest, CopiesAreUsedWrongly) {
  alignas(16) static uint32_t from[64];
  const auto copy = [](uint32_t to, const void* source, uint32_t bytes) {
    run_kernel({}, [=] {
      const uint32_t barrier = shared_barrier(0, 1);
      cuda::copy_bulk(address_of(0) + to, source, bytes, barrier);
    });
  };
  EXPECT_DEATH(copy(8, from, 16), "cp.async.bulk to .*: want a multiple of 16");
  EXPECT_DEATH(copy(0, from + 1, 16), "cp.async.bulk from .*: want a multiple of 16");
  EXPECT_DEATH(copy(0, from, 24), "cp.async.bulk of .*: want a multiple of 16");
  EXPECT_DEATH(copy(16384, from, 16), "outside the block's shared memory");
  EXPECT_DEATH(run_kernel({},
                          [] {
                            const uint32_t barrier = address_of(kBarriersAt);
                            cuda::barrier_init(barrier, 1);
                            cuda::copy_bulk(address_of(0), from, 16, barrier);
                          }),
               "without fence.mbarrier_init");
}

TEST(EmulatedHopperDeathTest, ProductsAreUsedWrongly) {
  EXPECT_DEATH(run_kernel(kWgmmaShape, [] { WgmmaCase().start(); }),
               "a group begins without wgmma.fence");
  EXPECT_DEATH(run_kernel(kWgmmaShape,
                          [] {
                            WgmmaCase mine;
                            cuda::products_fence();
                            mine.start();
                            mine.registers[2] = 0;
                            cuda::end_products();
                            cuda::wait_for_products<0>();
                          }),
               "A's registers .* were written before wait_group");
  EXPECT_DEATH(run_kernel(kWgmmaShape,
                          [] {
                            WgmmaCase mine;
                            cuda::products_fence();
                            mine.start();
                            mine.sums[2] = 0;
                            cuda::end_products();
                            cuda::wait_for_products<0>();
                          }),
               "sums .* were written before wait_group");
  EXPECT_DEATH(run_kernel({kWarpgroup, 1, 32768},
                          [] {
                            WgmmaCase mine;
                            mine.descriptor += threadIdx.x / 32 * 64;  // 1024 bytes a warp
                            cuda::products_fence();
                            mine.start();
                          }),
               "the warpgroup's warps name different matrices");
  EXPECT_DEATH(run_kernel(kWgmmaShape,
                          [] {
                            WgmmaCase mine;
                            mine.descriptor += 64;
                            cuda::products_fence();
                            mine.start();
                          }),
               "outside the block's shared memory");
}

TEST(EmulatedHopperDeathTest, RegistersAreNotThere) {
  EXPECT_DEATH(run_kernel({kWarpgroup}, [] { cuda::give_registers<44>(); }),
               "setmaxnreg 44: want a multiple of 8 from 24 to 256");
  EXPECT_DEATH(run_kernel({3 * kWarpgroup}, [] { cuda::give_registers<176>(); }),
               "setmaxnreg.dec to 176 registers of a thread that has 168");
  EXPECT_DEATH(run_kernel({3 * kWarpgroup}, [] { cuda::take_registers<176>(); }),
               "384 for setmaxnreg");
}

}  // namespace
}  // namespace llmpq::emulated
