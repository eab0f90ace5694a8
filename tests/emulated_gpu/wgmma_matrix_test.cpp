#include "wgmma_matrix.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace llmpq::emulated {
namespace {

/// By the table of the PTX ISA, "Matrix descriptor": address, stride and swizzling.
uint64_t descriptor(uint64_t address, uint64_t eights_bytes, uint64_t swizzle) {
  return address >> 4 | eights_bytes >> 4 << 32 | swizzle << 62;
}

TEST(EmulatedWgmmaMatrix, PartsAreSwizzledBy128Bytes) {
  constexpr int kRows = 16, kAt = 2048;
  alignas(1024) uint8_t memory[kAt + kRows * 128];
  for (int row = 0; row < kRows; ++row)  // number 100 row + k of a row of 64 halves
    for (int k = 0; k < 64; ++k) {
      const uint16_t half = rounded<Half::kF16>(100.0 * row + k);
      const int part = k / 8 ^ row % 8;
      std::memcpy(memory + kAt + 128 * row + 16 * part + k % 8 * 2, &half, 2);
    }
  const auto read = [&](uint32_t address) -> const void* { return memory + address; };
  for (uint32_t step = 0; step < 4; ++step) {  // 16 halves further along k: 32 bytes
    const auto mine = MatrixDescriptor::of(descriptor(kAt, 1024, 1) + 2 * step);
    ASSERT_EQ(mine.check(), nullptr);
    const auto matrix = read_matrix<Half::kF16, kRows>(mine, read);
    for (int row = 0; row < kRows; ++row)
      for (int k = 0; k < 16; ++k)
        EXPECT_EQ(matrix[k][row], static_cast<float>(100 * row + static_cast<int>(16 * step) + k));
  }
}

TEST(EmulatedWgmmaMatrix, EightsOfRowsMayLieApart) {
  const auto mine = MatrixDescriptor::of(descriptor(1024, 4096, 1));
  EXPECT_EQ(mine.part_address(8, 0), 1024u + 4096u);
  EXPECT_EQ(mine.part_address(9, 1), 1024u + 4096u + 128u);  // part 1 of row 1 lies at 0
}

TEST(EmulatedWgmmaMatrix, WhatIsNotUnderstoodHasASentence) {
  const auto error = [](uint64_t bits) { return MatrixDescriptor::of(bits).check(); };
  EXPECT_STREQ(error(descriptor(1024, 1024, 2)),
               "a matrix descriptor wants swizzling by 128 bytes");
  const char* const eights = "a swizzled matrix wants eights of rows at multiples of 1024 bytes";
  EXPECT_STREQ(error(descriptor(1024 + 128, 1024, 1)), eights);
  EXPECT_STREQ(error(descriptor(1024, 512, 1)), eights);
  EXPECT_STREQ(error(descriptor(1024, 1024, 1) | uint64_t{1} << 49), eights);
  EXPECT_STREQ(error(descriptor(1024 + 112, 1024, 1)),
               "16 halves of a swizzled matrix lie within 128 bytes");
}

}  // namespace
}  // namespace llmpq::emulated
