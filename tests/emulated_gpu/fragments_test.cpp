#include "fragments.hpp"

#include <gtest/gtest.h>

namespace llmpq::emulated {
namespace {

/// Small integers: every sum is exact.
int number(int i, int j) { return (7 * i + 3 * j + i * j) % 11 - 5; }

template <Half kType>
uint32_t pair(double low, double high) {
  return rounded<kType>(low) | uint32_t{rounded<kType>(high)} << 16;
}

/// Registers and sums of 32 lanes, by the formulas of the PTX ISA: groupID = lane >> 2,
/// threadID_in_group = lane % 4. `a` is 16 x 16, `b` 16 x 8.
template <Half kType>
struct Case {
  uint32_t a[32][4], b[32][2];
  float sums[32][4];
  float* at[32];

  Case() {
    for (int lane = 0; lane < 32; ++lane) {
      const int group = lane >> 2, thread = lane % 4;
      for (int reg = 0; reg < 4; ++reg) {
        const int row = reg == 0 || reg == 2 ? group : group + 8;
        const int column = thread * 2 + (reg < 2 ? 0 : 8);
        a[lane][reg] = pair<kType>(number(row, column), number(row, column + 1));
        sums[lane][reg] = static_cast<float>(start(lane, reg));
      }
      for (int reg = 0; reg < 2; ++reg) {
        const int row = thread * 2 + (reg == 0 ? 0 : 8);
        b[lane][reg] = pair<kType>(number(row + 20, group), number(row + 21, group));
      }
      at[lane] = sums[lane];
    }
  }
  static int start(int lane, int reg) { return lane - 10 * reg; }
  static int wanted(int lane, int reg) {
    const int row = (lane >> 2) + (reg < 2 ? 0 : 8), column = lane % 4 * 2 + (reg & 1);
    int sum = start(lane, reg);
    for (int k = 0; k < 16; ++k) sum += number(row, k) * number(k + 20, column);
    return sum;
  }
};

template <Half kType, int kStep>
void expect_product() {
  Case<kType> mine;
  multiply_m16n8k16<kType, kStep>(mine.a, mine.b, mine.at);
  for (int lane = 0; lane < 32; ++lane)
    for (int reg = 0; reg < 4; ++reg)
      EXPECT_EQ(mine.sums[lane][reg], static_cast<float>(mine.wanted(lane, reg)))
          << "lane " << lane << ", sum " << reg;
}

TEST(EmulatedFragments, ProductOfAWarpIsThatOfMatrices) {
  expect_product<Half::kBf16, 16>();
  expect_product<Half::kF16, 16>();
  expect_product<Half::kF16, 8>();
}

TEST(EmulatedFragments, InfinityAndNanReachTheSums) {
  Case<Half::kF16> mine;
  mine.a[0][0] = pair<Half::kF16>(1, 1) | 0x7c00;  // row 0, column 0: NaN
  mine.a[0][0] |= 0x0200;
  multiply_m16n8k16<Half::kF16>(mine.a, mine.b, mine.at);
  EXPECT_TRUE(std::isnan(mine.sums[0][0]));
  EXPECT_TRUE(std::isnan(mine.sums[3][1]));
  EXPECT_FALSE(std::isnan(mine.sums[0][2]));
  EXPECT_FALSE(std::isnan(mine.sums[4][0]));
}

TEST(EmulatedFragments, FourMatricesAreLoaded) {
  uint16_t matrices[4][8][8];
  const uint16_t* rows[32];
  for (int m = 0; m < 4; ++m)
    for (int i = 0; i < 8; ++i) {
      for (int j = 0; j < 8; ++j) matrices[m][i][j] = static_cast<uint16_t>(100 * m + 10 * i + j);
      rows[8 * m + i] = matrices[m][i];
    }
  uint32_t plain[32][4], transposed[32][4];
  load_four_matrices(rows, false, plain);
  load_four_matrices(rows, true, transposed);
  for (int lane = 0; lane < 32; ++lane)
    for (uint32_t m = 0; m < 4; ++m) {
      const auto g = static_cast<uint32_t>(lane / 4), t = static_cast<uint32_t>(lane % 4);
      EXPECT_EQ(plain[lane][m], (100 * m + 10 * g + 2 * t) | (100 * m + 10 * g + 2 * t + 1) << 16);
      EXPECT_EQ(transposed[lane][m], (100 * m + 20 * t + g) | (100 * m + 20 * t + 10 + g) << 16);
    }
}

}  // namespace
}  // namespace llmpq::emulated
