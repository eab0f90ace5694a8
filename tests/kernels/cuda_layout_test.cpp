// The layout of integer weights on a GPU, by its arithmetic alone: no GPU is needed.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <string>

#include "kernels/cuda/layout.hpp"
#include "kernels/cuda/scratch.hpp"

namespace llmpq::test {
namespace {

constexpr Format kIntegers[] = {Format::kW8, Format::kW4, Format::kW3};
using Words = std::array<uint32_t, 512>;  ///< as many as the largest tile has

template <typename Visit>
void for_each_place(const Visit& visit) {
  for (int output = 0; output < cuda::kTileOutputs; ++output)
    for (int input = 0; input < kGroup; ++input) visit(output, input);
}

/// Numbers of a format that differ from place to place.
int some_integer(Format format, int output, int input) {
  const int limit = info(format).max_abs;
  return (output * 1031 + input * 37 + input / 32) % (2 * limit + 1) - limit;
}

TEST(CudaLayout, EveryIntegerOfAFormatIsStoredAsItself) {
  for (const Format format : kIntegers)
    for (int q = -info(format).max_abs - 1; q <= info(format).max_abs; ++q) {
      const uint32_t stored = cuda::encode(format, q);
      EXPECT_LT(stored, 1u << cuda::stored_bits(format)) << name(format) << " " << q;
      EXPECT_EQ(cuda::decode(format, stored), q) << name(format);
    }
}

TEST(CudaLayout, WhatIsPutComesBack) {
  for (const Format format : kIntegers) {
    Words words;
    words.fill(0xa5a5a5a5u);  // put replaces what was there
    for_each_place([&](int output, int input) {
      cuda::put_integer(format, words.data(), output, input, some_integer(format, output, input));
    });
    for_each_place([&](int output, int input) {
      ASSERT_EQ(cuda::get_integer(format, words.data(), output, input),
                some_integer(format, output, input))
          << name(format) << " " << output << " " << input;
    });
  }
}

TEST(CudaLayout, ZeroBitsAreTheIntegerZero) {
  const Words zeros{};
  for (const Format format : kIntegers)
    for_each_place([&](int output, int input) {
      ASSERT_EQ(cuda::get_integer(format, zeros.data(), output, input), 0);
    });
}

TEST(CudaLayout, IntegersShareNoBitAndLeaveNoneUnused) {
  for (const Format format : kIntegers) {
    Words used{};
    int64_t total = 0;
    for_each_place([&](int output, int input) {
      Words one{};
      cuda::put_integer(format, one.data(), output, input, -1);
      int bits = 0;
      for (size_t i = 0; i < one.size(); ++i) {
        ASSERT_EQ(one[i] & used[i], 0u) << name(format) << " " << output << " " << input;
        used[i] |= one[i];
        bits += std::popcount(one[i]);
      }
      ASSERT_EQ(bits, cuda::stored_bits(format));
      total += bits;
    });
    ASSERT_EQ(total, cuda::integer_bytes(format) * 8) << name(format);
    for (int64_t i = 0; i < cuda::integer_bytes(format) / 4; ++i)
      ASSERT_EQ(used[static_cast<size_t>(i)], 0xffffffffu) << name(format) << " word " << i;
  }
}

TEST(CudaLayout, APairLiesInBothHalvesOfOneWordAlike) {
  for (const Format format : kIntegers)
    for_each_place([&](int output, int input) {
      if (input % 2 == 1) return;
      const auto low = cuda::place_of(output, input), high = cuda::place_of(output, input + 1);
      ASSERT_EQ(cuda::parts_of(format, low), cuda::parts_of(format, high));
      for (int i = 0; i < cuda::parts_of(format, low); ++i) {
        const auto a = cuda::part_of(format, low, i), b = cuda::part_of(format, high, i);
        ASSERT_EQ(a.word, b.word);
        ASSERT_EQ(a.bit + 16, b.bit);
        ASSERT_LE(a.bit + a.bits, 16);
      }
    });
}

TEST(CudaLayout, TheLanesOfAWarpHoldTheOutputsAndInputsThatMmaWants) {
  for_each_place([](int output, int input) {
    const cuda::LanePlace place = cuda::place_of(output, input);
    const int step = place.word / 8, reg = place.word % 8 / 2, half = place.word % 2;
    ASSERT_EQ(place.lane / 4 + reg % 2 * 8, output);
    // B's registers are the 16 bytes of inputs 8 t + 0..7, two for each step.
    ASSERT_EQ(place.span * 32 + place.lane % 4 * 8 + step * 4 + reg / 2 * 2 + half, input);
  });
}

TEST(CudaLayout, BytesOfATileAndOfAMatrix) {
  EXPECT_EQ(cuda::tile_bytes(Format::kW8), 64 + 2048);
  EXPECT_EQ(cuda::tile_bytes(Format::kW4), 64 + 1024);
  EXPECT_EQ(cuda::tile_bytes(Format::kW3), 64 + 768);
  EXPECT_EQ(cuda::matrix_bytes(Format::kW4, 16, 128), 1088);
  EXPECT_EQ(cuda::matrix_bytes(Format::kW4, 17, 129), 4 * 1088);
  EXPECT_EQ(cuda::matrix_bytes(Format::kBf16, 3, 9), 3 * 16 * 2);
  EXPECT_EQ(cuda::matrix_bytes(Format::kF16, 1, 8), 16);
}

TEST(CudaLayout, ScratchForTheWidestAndTheLargestMatrixIsEnoughForAll) {
  struct Shape {
    int64_t n, k;
  };
  constexpr Shape kShapes[] = {{1, 1}, {64, 20}, {17, 129}, {4096, 4096}, {28672, 8192}, {97, 131}};
  for (const bool exact : {false, true}) {
    int64_t k = 0, nk = 0;
    for (const Shape& shape : kShapes) {
      k = std::max(k, shape.k);
      nk = std::max(nk, shape.n * shape.k);
    }
    for (const Shape& shape : kShapes) {
      const int64_t piece = cuda::linear_piece_bytes(shape.k, shape.n * shape.k, exact);
      EXPECT_LE(cuda::linear_scratch_bytes(7, shape.k, shape.n * shape.k, exact),
                cuda::linear_scratch_bytes(7, k, nk, exact));
      EXPECT_GE(piece, groups_of(shape.k) * kGroup * 16 * (exact ? 4 : 2));
    }
  }
}

}  // namespace
}  // namespace llmpq::test
