#include "kernels/cpu/softmax.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace llmpq {
namespace {

TEST(Softmax, ExpIsCloseToDouble) {
  double worst = 0, at = 0;
  for (float x = 0; x >= -64; x -= 1.0f / 1024 + x * x * 1e-6f) {
    const double want = std::exp(double{x});
    const double error = std::abs(exp_of_negative(x) - want) / want;
    if (error > worst) worst = error, at = x;
  }
  EXPECT_LT(worst, 4e-7) << "at " << at;
  EXPECT_EQ(exp_of_negative(0), 1.0f);
}

TEST(Softmax, LogIsCloseToDouble) {
  for (double value : {1.0, 0.5, 2.0, 1.4142135623730951, 0.7071067811865475, 1e-300, 3e300})
    EXPECT_NEAR(natural_log(value), std::log(value),
                2e-15 * std::max(1.0, std::abs(std::log(value))));
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> values(1, 1e6);
  for (int i = 0; i < 10000; ++i) {
    const double value = values(random);
    ASSERT_NEAR(natural_log(value), std::log(value), 2e-15 * std::log(value) + 2e-15) << value;
  }
}

TEST(Softmax, LogSumExpIsCloseToDouble) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal(0, 4);
  for (size_t count : {1, 3, 255, 256, 257, 5000}) {
    std::vector<float> logits(count);
    for (float& logit : logits) logit = normal(random);
    const float max = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (float logit : logits) sum += std::exp(double{logit} - max);
    EXPECT_NEAR(log_sum_exp(logits, max), max + std::log(sum), 3e-7) << count;
  }
}

TEST(Softmax, MassesAddUpInAnyOrder) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(0, 1);
  std::vector<float> weights(1000);
  for (float& weight : weights) weight = uniform(random);
  const uint64_t total = total_mass(weights);
  EXPECT_GT(total, uint64_t{1} << 50);
  std::shuffle(weights.begin(), weights.end(), random);
  EXPECT_EQ(total_mass(weights), total);
  EXPECT_EQ(mass(1.0f), uint64_t{1} << 44);
}

TEST(Softmax, WhatCannotComeHasNoMass) {
  std::vector<float> logits{1, -INFINITY, -200, 0};
  to_weights(logits, 1, 0.5f);
  EXPECT_EQ(logits[0], 1.0f);
  EXPECT_EQ(mass(logits[1]), 0u);
  EXPECT_EQ(mass(logits[2]), 0u);
  EXPECT_NEAR(logits[3], std::exp(-2.0), 1e-7);
}

TEST(Softmax, KeysOrderLikeValues) {
  const std::vector<float> ascending{-INFINITY, -3e38f, -1, -1e-45f, 0, 1e-45f, 1, 3e38f, INFINITY};
  for (float value : ascending) EXPECT_EQ(value_of_key(order_key(value)), value);
  for (size_t i = 1; i < ascending.size(); ++i)
    EXPECT_LT(order_key(ascending[i - 1]), order_key(ascending[i]));
  EXPECT_EQ(order_key(-0.0f), order_key(0.0f));
}

TEST(Softmax, NucleusIsTheCeilingOfItsShare) {
  EXPECT_EQ(nucleus_mass(0.5f, 1000), 500u);
  EXPECT_EQ(nucleus_mass(0.5f, 1001), 501u);
  EXPECT_EQ(nucleus_mass(0.0f, 1001), 1u);
  EXPECT_EQ(nucleus_mass(-INFINITY, 1001), 1u);
  EXPECT_EQ(nucleus_mass(1e-9f, 1001), 1u);
  const float below = std::nextafter(1.0f, 0.0f);
  EXPECT_LE(nucleus_mass(below, uint64_t{1} << 62), uint64_t{1} << 62);
}

TEST(Softmax, DrawnMassIsWithinTheTotal) {
  constexpr uint64_t kTotal = (uint64_t{1} << 44) + 12345;
  EXPECT_EQ(drawn_mass(0, kTotal), 0u);
  EXPECT_EQ(drawn_mass(~uint64_t{0}, kTotal), kTotal - 1);
  EXPECT_EQ(drawn_mass(uint64_t{1} << 63, kTotal), kTotal / 2);
  EXPECT_EQ(drawn_mass(~uint64_t{0}, 1), 0u);
}

}  // namespace
}  // namespace llmpq
