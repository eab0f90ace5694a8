#include "halves.hpp"

#include <gtest/gtest.h>

namespace llmpq::emulated {
namespace {

template <Half kType>
void expect_exact() {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = widened<kType>(static_cast<uint16_t>(bits));
    if (std::isnan(value))
      EXPECT_EQ(rounded<kType>(value), 0x7fff);
    else
      EXPECT_EQ(rounded<kType>(value), bits);
  }
}

TEST(EmulatedHalves, EveryNumberStaysWhenItIsRounded) {
  expect_exact<Half::kBf16>();
  expect_exact<Half::kF16>();
  EXPECT_EQ(widened<Half::kBf16>(0x3f80), 1.0f);
  EXPECT_EQ(widened<Half::kF16>(0x3c00), 1.0f);
  EXPECT_EQ(widened<Half::kF16>(0x0001), 0x1p-24f);
}

TEST(EmulatedHalves, TiesGoToEvenAndLargeOnesToInfinity) {
  EXPECT_EQ(rounded<Half::kBf16>(1 + 0x1p-8), 0x3f80);
  EXPECT_EQ(rounded<Half::kBf16>(1 + 0x1p-8 + 0x1p-50), 0x3f81);
  EXPECT_EQ(rounded<Half::kF16>(1 + 0x1p-11), 0x3c00);
  EXPECT_EQ(rounded<Half::kF16>(1 + 0x1p-11 + 0x1p-50), 0x3c01);
  EXPECT_EQ(rounded<Half::kF16>(65520.0), 0x7c00);
  EXPECT_EQ(rounded<Half::kF16>(-65519.0), 0xfbff);
  EXPECT_EQ(rounded<Half::kBf16>(3.4e38), 0x7f80);
}

TEST(EmulatedHalves, FmaRoundsOnce) {
  const auto f16 = [](double value) { return rounded<Half::kF16>(value); };
  // 48 * 683 = 32784 lies between two numbers; c decides, far below a float's last bit.
  EXPECT_EQ(fma_pairs<Half::kF16>(f16(48), f16(683), f16(0)) & 0xffff, f16(32768));
  EXPECT_EQ(fma_pairs<Half::kF16>(f16(48), f16(683), f16(0x1p-24)) & 0xffff, f16(32800));
  const auto bf16 = [](double value) { return rounded<Half::kBf16>(value); };
  // 7/16 * 37/16 = 259/256 likewise, and c is below a double's last bit.
  EXPECT_EQ(fma_pairs<Half::kBf16>(bf16(7 / 16.), bf16(37 / 16.), bf16(0)) & 0xffff,
            bf16(260 / 256.));
  EXPECT_EQ(fma_pairs<Half::kBf16>(bf16(7 / 16.), bf16(37 / 16.), bf16(-0x1p-100)) & 0xffff,
            bf16(258 / 256.));
}

TEST(EmulatedHalves, FmaHasTwoHalves) {
  const auto pair = [](double low, double high) {
    return rounded<Half::kF16>(low) | uint32_t{rounded<Half::kF16>(high)} << 16;
  };
  EXPECT_EQ(fma_pairs<Half::kF16>(pair(2, 3), pair(5, 7), pair(1, -1)), pair(11, 20));
}

TEST(EmulatedHalves, SumsAreCutTowardsZero) {
  EXPECT_EQ(cut_to_float(1 + 0x1p-24 + 0x1p-25), 1.0f);
  EXPECT_EQ(cut_to_float(-1 - 0x1p-24 - 0x1p-25), -1.0f);
  EXPECT_EQ(cut_to_float(0.5), 0.5f);
}

TEST(EmulatedHalves, Exp2FlushesSubnormals) {
  EXPECT_EQ(exp2_flushed(-126.0f), 0x1p-126f);
  EXPECT_EQ(exp2_flushed(-127.0f), 0.0f);
  EXPECT_EQ(exp2_flushed(-INFINITY), 0.0f);
  EXPECT_EQ(exp2_flushed(3.0f), 8.0f);
}

}  // namespace
}  // namespace llmpq::emulated
