// Arithmetic without denormals, and products of bf16 numbers that need it: one number at a time by
// closed forms, and whole products on every instruction set against one number at a time.
#include "kernels/cpu/flushed.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/convert.hpp"
#include "support.hpp"

namespace llmpq::test {
namespace {

constexpr float kTiny = 0x1p-126f, kDenormal = 0x1p-127f;

/// Also tells zeros apart.
void expect_bits(float got, float wanted) {
  EXPECT_EQ(std::bit_cast<uint32_t>(got), std::bit_cast<uint32_t>(wanted))
      << got << ", want " << wanted;
}

TEST(Flushed, DenormalOperandsAreZero) {
  expect_bits(fma_flushed(kDenormal, 0x1p100f, 3), 3);
  expect_bits(fma_flushed(0x1p100f, -kDenormal, -0.0f), -0.0f);
  expect_bits(fma_flushed(2, 3, kDenormal), 6);
  expect_bits(add_flushed(kTiny, kDenormal), kTiny);
  expect_bits(add_flushed(-kDenormal, -kDenormal), -0.0f);
}

TEST(Flushed, DenormalResultsAreZeroWithTheirSign) {
  expect_bits(fma_flushed(0x1p-64f, 0x1p-63f, 0), 0);
  expect_bits(fma_flushed(-0x1p-64f, 0x1p-63f, 0), -0.0f);
  expect_bits(fma_flushed(-0x1p-120f, 0x1p-120f, 0), -0.0f);
  expect_bits(fma_flushed(0x1p-63f, 0x1p-63f, 0), kTiny);
  expect_bits(add_flushed(1.5f * kTiny, -kTiny), 0);
  expect_bits(add_flushed(-1.5f * kTiny, kTiny), -0.0f);
  expect_bits(add_flushed(1.5f * kTiny, -0.5f * kTiny), 1.5f * kTiny);
}

/// 24 bits with any exponent are below 2^-126 twice as dense as f32 is there.
TEST(Flushed, WhatIsTinyIsSaidAfterRounding) {
  expect_bits(fma_flushed(-0x1p-76f, 0x1p-75f, kTiny), kTiny);     // a tie, to even
  expect_bits(fma_flushed(-0x1p-76f, 0x1.02p-75f, kTiny), 0);      // just beyond it
  expect_bits(fma_flushed(0x1p-76f, -0x1.fep-76f, kTiny), kTiny);  // just before
  expect_bits(fma_flushed(0x1.02p-75f, 0x1p-76f, -kTiny), -0.0f);
  expect_bits(fma_flushed(-0x1p-75f, 0x1p-75f, 0x1.000002p-126f), kTiny);  // a tie above, to even
}

TEST(Flushed, AllElseIsOrdinary) {
  const float infinity = std::numeric_limits<float>::infinity();
  expect_bits(fma_flushed(3, 5, -15), 0);
  expect_bits(fma_flushed(0x1p100f, 0x1p100f, 1), infinity);
  expect_bits(fma_flushed(0x1p100f, 0x1p100f, -infinity), -infinity);
  EXPECT_TRUE(std::isnan(fma_flushed(0, infinity, 1)));
  EXPECT_TRUE(std::isnan(add_flushed(std::nanf(""), 1)));
}

/// matmul_bf16.hpp's formula, for one output.
float product_of_row(const float* x, const float* w, int64_t k) {
  float acc = 0;
  for (int64_t begin = 0; begin < k; begin += 32) {
    float chains[2] = {0, 0};
    for (int64_t i = 0; i < 32; ++i) {
      const bool there = begin + i < k;
      chains[i % 2] =
          fma_flushed(there ? x[begin + i] : 0, there ? w[begin + i] : 0, chains[i % 2]);
    }
    acc = add_flushed(acc, add_flushed(chains[0], chains[1]));
  }
  return acc;
}

/// bf16 numbers, a bit of every kind: `size` around 2^low to 2^high, some zero, some denormal.
std::vector<float> bf16_numbers(Random& random, int64_t count, int low, int high) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    const auto exponent = static_cast<int>(low + random.below(high - low + 1));
    value = bf16_to_f32(f32_to_bf16(std::ldexp(1 + std::fabs(random.uniform()), exponent)));
    if (random.below(2) == 0) value = -value;
    if (random.below(16) == 0) value = std::copysign(0.0f, value);
    if (random.below(16) == 0) value = std::copysign(kDenormal, value);
  }
  return values;
}

struct Sizes {
  const char* name;
  int x_low, x_high, w_low, w_high;
};
void PrintTo(const Sizes& sizes, std::ostream* out) { *out << sizes.name; }

class Bf16Product : public testing::TestWithParam<Sizes> {};

TEST_P(Bf16Product, HasTheBitsOfItsFormulaOnEveryMachine) {
  const Sizes& sizes = GetParam();
  int64_t zeros = 0;
  for (const int64_t k : {1, 2, 31, 33, 63, 64, 130, 301}) {
    for (const int64_t rows : {1, 2, 7, 8, 13, 33}) {
      constexpr int64_t kOutputs = 37;
      Random random(static_cast<uint64_t>(k * 100 + rows));
      const std::vector<float> x = bf16_numbers(random, rows * k, sizes.x_low, sizes.x_high),
                               w = bf16_numbers(random, kOutputs * k, sizes.w_low, sizes.w_high);
      std::vector<float> wanted, y(static_cast<size_t>(rows * kOutputs));
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t o = 0; o < kOutputs; ++o)
          wanted.push_back(product_of_row(x.data() + row * k, w.data() + o * k, k));
      zeros += std::count(wanted.begin(), wanted.end(), 0.0f);
      for (const auto& machine : machines()) {
        const Matrix packed = packed_matrix(*machine, Format::kBf16, kOutputs, k, w);
        machine->ops().linear(*machine->context, {x.data(), &packed, nullptr, ActivationType::kBf16,
                                                  rows, y.data(), kOutputs});
        expect_same_bits(y, wanted, fmt::format("{}, {} x {}", machine->label, rows, k));
      }
    }
  }
  EXPECT_GT(zeros, 0);
}

INSTANTIATE_TEST_SUITE_P(All, Bf16Product,
                         testing::Values(Sizes{"ordinary", -3, 3, -6, 0},
                                         Sizes{"around_the_smallest", -66, -60, -66, -60},
                                         Sizes{"far_apart", -70, 60, -70, 60}),
                         [](const auto& info) { return std::string(info.param.name); });

/// Sums that are added later, and other operations, are not touched by the mode of the product.
TEST(Bf16ProductAfter, TheProcessorIsAsItWas) {
  for (const auto& machine : machines()) {
    const std::vector<float> x(64, 1.0f), w(64, 0.0f), bias(1, kDenormal);
    float y = -1;
    const Matrix packed = packed_matrix(*machine, Format::kBf16, 1, 64, w);
    machine->ops().linear(*machine->context,
                          {x.data(), &packed, bias.data(), ActivationType::kBf16, 1, &y, 1});
    expect_bits(y, kDenormal);
    volatile float tiny = kTiny;
    expect_bits(tiny / 2, kDenormal);
  }
}

}  // namespace
}  // namespace llmpq::test
