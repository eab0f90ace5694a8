// Conversions between f32 and the 16-bit types: all 65,536 values, and rounding against double.
#include "kernels/convert.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "support.hpp"

namespace llmpq::test {
namespace {

/// The value of a binary16, by its definition.
double f16_value(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const double fraction = (bits & 1023) / 1024.0;
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  return sign *
         (exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15));
}

double bf16_value(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

TEST(Convert, EveryF16WidensToItsValueAndComesBack) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    const double want = f16_value(bits);
    const float value = f16_to_f32(bits);
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(value)) << i;
      EXPECT_TRUE(std::isnan(f16_value(f32_to_f16(value)))) << i;
    } else {
      ASSERT_EQ(value, want) << i;
      ASSERT_EQ(std::signbit(value), std::signbit(want)) << i;
      ASSERT_EQ(f32_to_f16(value), bits) << i;
    }
  }
}

TEST(Convert, EveryBf16WidensToItsValueAndComesBack) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    const double want = bf16_value(bits);
    const float value = bf16_to_f32(bits);
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(value)) << i;
      EXPECT_TRUE(std::isnan(bf16_value(f32_to_bf16(value)))) << i;
    } else {
      ASSERT_EQ(value, want) << i;
      ASSERT_EQ(f32_to_bf16(value), bits) << i;
    }
  }
}

/// The midpoint of two neighbours goes to the even one, what is a hair beside it to the nearer.
void check_midpoint(uint16_t low, double a, double b, uint16_t (*round)(float)) {
  const float middle = static_cast<float>((a + b) / 2);  // exact: one more bit than the type has
  const uint16_t even = low % 2 == 0 ? low : static_cast<uint16_t>(low + 1);
  ASSERT_EQ(round(middle), even) << low;
  ASSERT_EQ(round(std::nextafter(middle, static_cast<float>(a))), low) << low;
  ASSERT_EQ(round(std::nextafter(middle, static_cast<float>(b))), low + 1) << low;
  ASSERT_EQ(round(-middle), even | 0x8000) << low;
}

TEST(Convert, RoundsToTheNearestWithTiesToEven) {
  for (uint16_t low = 0; low < 0x7bff; ++low)
    check_midpoint(low, f16_value(low), f16_value(static_cast<uint16_t>(low + 1)),
                   [](float v) { return f32_to_f16(v); });
  for (uint16_t low = 1; low < 0x7f7f; ++low)
    check_midpoint(low, bf16_value(low), bf16_value(static_cast<uint16_t>(low + 1)),
                   [](float v) { return f32_to_bf16(v); });
}

TEST(Convert, OverflowIsInfinityAndSmallIsZero) {
  EXPECT_EQ(f32_to_f16(65519.996f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-1e30f), 0xfc00);
  EXPECT_EQ(f32_to_f16(INFINITY), 0x7c00);
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0);
  EXPECT_EQ(f32_to_f16(0x1.000002p-25f), 1);
  EXPECT_EQ(f32_to_f16(-1e-30f), 0x8000);
  EXPECT_EQ(f32_to_bf16(3.4028235e38f), 0x7f80);
  EXPECT_EQ(f32_to_bf16(-INFINITY), 0xff80);
}

TEST(Convert, LoopsGiveTheSameAsSingleValues) {
  Random random(5);
  const std::vector<float> from = random.vector(1003, 100.0f);
  std::vector<uint16_t> half(from.size()), brain(from.size());
  std::vector<float> back(from.size());
  f32_to_f16(from.data(), half.data(), 1003);
  f32_to_bf16(from.data(), brain.data(), 1003);
  for (size_t i = 0; i < from.size(); ++i) {
    ASSERT_EQ(half[i], f32_to_f16(from[i]));
    ASSERT_EQ(brain[i], f32_to_bf16(from[i]));
  }
  f16_to_f32(half.data(), back.data(), 1003);
  for (size_t i = 0; i < from.size(); ++i) ASSERT_EQ(back[i], f16_to_f32(half[i]));
  bf16_to_f32(brain.data(), back.data(), 1003);
  for (size_t i = 0; i < from.size(); ++i) ASSERT_EQ(back[i], bf16_to_f32(brain[i]));
}

}  // namespace
}  // namespace llmpq::test
