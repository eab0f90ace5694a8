#include "kernels/cuda/instructions.cuh"

#include <gtest/gtest.h>

#include <vector>

#include "emulated_kernel.hpp"

namespace llmpq::emulated {
namespace {

struct alignas(16) Sixteen {
  uint32_t word[4];
};

std::vector<Sixteen> some_words(int count) {
  std::vector<Sixteen> words(static_cast<size_t>(count));
  for (size_t i = 0; i < words.size(); ++i)
    for (uint32_t j = 0; j < 4; ++j) words[i].word[j] = static_cast<uint32_t>(100 * i) + j;
  return words;
}

TEST(EmulatedInstructions, CopiesAreThereAfterTheirGroupIsWaitedFor) {
  const std::vector<Sixteen> from = some_words(64);
  run_kernel({}, [&] {
    auto* const to = shared_as<Sixteen>();
    cuda::copy_16_bytes_of_line(to + lane(), &from[static_cast<size_t>(lane())]);
    cuda::close_copies();
    cuda::copy_16_bytes(to + 32 + lane(), &from[static_cast<size_t>(32 + lane())], lane() != 7);
    cuda::copy_4_bytes(shared_as<uint32_t>(2048) + lane(), &from[1].word[2], lane() != 7);
    cuda::close_copies();
    cuda::wait_for_copies<1>();
    EXPECT_EQ(to[lane()].word[3], static_cast<uint32_t>(100 * lane() + 3));
    cuda::wait_for_copies<0>();
    const bool valid = lane() != 7;
    EXPECT_EQ(to[32 + lane()].word[1], valid ? static_cast<uint32_t>(3201 + 100 * lane()) : 0);
    EXPECT_EQ(shared_as<uint32_t>(2048)[lane()], valid ? 102u : 0);
  });
}

TEST(EmulatedInstructions, CopiesMayBeThereBeforeTheWaitAndMayBeNot) {
  const std::vector<Sixteen> from = some_words(32);
  int there = 0, missing = 0;
  run_kernel({}, [&] {
    auto* const to = shared_as<Sixteen>();
    for (int i = 0; i < 8; ++i) {
      to[lane()] = {};
      cuda::copy_16_bytes(to + lane(), &from[static_cast<size_t>(lane())], true);
      cuda::close_copies();
      __syncwarp();
      ++(to[lane()].word[3] == ~0u ? missing : there);
      cuda::wait_for_copies<0>();
    }
  });
  EXPECT_GT(there, 0);
  EXPECT_GT(missing, 0);
}

TEST(EmulatedInstructions, ProductOfMatricesFromSharedMemory) {
  constexpr auto kType = Half::kF16;
  const auto a = [](int row, int k) { return row + 2 * k % 5 - 4; };
  const auto b = [](int k, int column) { return 3 * k % 7 - column; };
  run_kernel({}, [&] {
    auto* const left = shared_as<uint16_t>();          // [row][k]
    auto* const right = shared_as<uint16_t>(16 * 32);  // [k][column]
    for (int i = lane(); i < 256; i += 32) left[i] = rounded<kType>(1.0f * a(i / 16, i % 16));
    for (int i = lane(); i < 128; i += 32) right[i] = rounded<kType>(1.0f * b(i / 8, i % 8));
    __syncwarp();
    uint32_t x[4], y[4];
    cuda::load_matrices(left + (lane() % 16) * 16 + lane() / 16 * 8, x);
    cuda::load_transposed(right + lane() % 16 * 8, y);
    float sums[4] = {1.0f, 2.0f, 3.0f, 4.0f};
    cuda::multiply<__half>(sums, {x[0], x[1], x[2], x[3]}, y[0], y[1]);
    for (int i = 0; i < 4; ++i) {
      const int row = lane() / 4 + i / 2 * 8, column = lane() % 4 * 2 + i % 2;
      int wanted = i + 1;
      for (int k = 0; k < 16; ++k) wanted += a(row, k) * b(k, column);
      EXPECT_EQ(sums[i], static_cast<float>(wanted)) << lane() << " " << i;
    }
  });
}

TEST(EmulatedInstructions, CountersComeBackToZero) {
  unsigned counter = 0;
  int last = 0;
  run_kernel({96}, [&] { last += cuda::count_up_to(&counter, 95) == 95 ? 1 : 0; });
  EXPECT_EQ(last, 1);
  EXPECT_EQ(counter, 0u);
}

TEST(EmulatedInstructionsDeathTest, WhatIsNotAligned) {
  const std::vector<Sixteen> from = some_words(2);
  EXPECT_DEATH(run_kernel({}, [&] { cuda::copy_16_bytes(shared_as<char>(8), &from[0], true); }),
               "cp.async to .*: want a multiple of 16");
  EXPECT_DEATH(run_kernel({},
                          [&] {
                            cuda::copy_4_bytes(shared_as<char>(),
                                               reinterpret_cast<const char*>(&from[0]) + 2, true);
                          }),
               "cp.async from .*: want a multiple of 4");
  EXPECT_DEATH(run_kernel({},
                          [&] {
                            uint32_t to[4];
                            cuda::load_matrices(shared_as<uint16_t>(2), to);
                          }),
               "ldmatrix of a row at .*: want a multiple of 16");
}

TEST(EmulatedInstructionsDeathTest, WhatIsNotInSharedMemory) {
  alignas(16) static uint16_t elsewhere[8];
  EXPECT_DEATH(run_kernel({},
                          [&] {
                            uint32_t to[4];
                            cuda::load_matrices(elsewhere, to);
                          }),
               "is not in the block's shared memory");
  const std::vector<Sixteen> from = some_words(1);
  EXPECT_DEATH(
      run_kernel({32, 1, 64}, [&] { cuda::copy_16_bytes(shared_as<char>(64), &from[0], true); }),
      "16 bytes there are outside the block's shared memory");
}

TEST(EmulatedInstructionsDeathTest, ALaneIsMissing) {
  EXPECT_DEATH(run_kernel({},
                          [&] {
                            float sums[4] = {};
                            if (lane() != 5) cuda::multiply<__half>(sums, {}, 0, 0);
                          }),
               "31 for mma");
}

TEST(EmulatedInstructionsDeathTest, ABlockEndsBeforeItsCopies) {
  const std::vector<Sixteen> from = some_words(32);
  EXPECT_DEATH(
      run_kernel({}, [&] { cuda::copy_16_bytes(shared_as<Sixteen>() + lane(), &from[0], true); }),
      "a block ended while a copy to its shared memory is under way");
}

}  // namespace
}  // namespace llmpq::emulated
