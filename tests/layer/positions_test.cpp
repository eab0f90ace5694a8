#include "layer/positions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace llmpq {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;

ModelConfig rope(double theta, int64_t rotary_dim) {
  ModelConfig config;
  config.rope_theta = theta;
  config.rotary_dim = rotary_dim;
  return config;
}

constexpr int64_t kLength = 4096;  ///< of the job's longest sequence: LongRoPE alone looks at it

ModelConfig heads(int64_t count) {
  ModelConfig config;
  config.heads = count;
  return config;
}

TEST(Positions, FrequenciesFallGeometrically) {
  EXPECT_THAT(rope_frequencies(rope(10000, 8), kLength), ElementsAre(1.0f, 0.1f, 0.01f, 0.001f));
  const std::vector<float> f = rope_frequencies(rope(500000, 128), kLength);
  ASSERT_EQ(f.size(), 64u);
  for (size_t i = 0; i < 64; ++i) EXPECT_NEAR(f[i] * std::pow(500000.0, i / 64.0), 1, 2e-7) << i;
}

TEST(Positions, LinearScalingDivides) {
  ModelConfig config = rope(10000, 8);
  config.rope_scaling.kind = RopeScaling::Kind::kLinear;
  config.rope_scaling.factor = 4;
  EXPECT_THAT(rope_frequencies(config, kLength), ElementsAre(0.25f, 0.025f, 0.0025f, 0.00025f));
}

TEST(Positions, YarnLeavesShortWavesAndStretchesLongOnes) {
  ModelConfig config = rope(10000, 64), plain = config;
  config.rope_scaling.kind = RopeScaling::Kind::kYarn;
  config.rope_scaling.factor = 4;
  config.rope_scaling.original_max_positions = 2048;
  const auto scaled = rope_frequencies(config, kLength), f = rope_frequencies(plain, kLength);
  EXPECT_EQ(scaled.front(), f.front());
  EXPECT_FLOAT_EQ(scaled.back(), f.back() / 4);
  size_t between = 0;
  for (size_t i = 0; i < f.size(); ++i) {
    EXPECT_LE(scaled[i], f[i]);
    EXPECT_GE(scaled[i], f[i] / 4 * 0.999999f);
    between += scaled[i] < f[i] * 0.999f && scaled[i] > f[i] / 4 * 1.001f ? 1 : 0;
  }
  EXPECT_GT(between, 2u);
}

TEST(Positions, LongRopeChoosesItsFactorsByTheLongestSequence) {
  ModelConfig config = rope(10000, 4);
  config.rope_scaling.kind = RopeScaling::Kind::kLongRope;
  config.rope_scaling.original_max_positions = 100;
  config.rope_scaling.short_factors = {1, 2};
  config.rope_scaling.long_factors = {4, 8};
  EXPECT_THAT(rope_frequencies(config, 100), ElementsAre(FloatEq(1.0f), FloatEq(0.005f)));
  EXPECT_THAT(rope_frequencies(config, 101), ElementsAre(FloatEq(0.25f), FloatEq(0.00125f)));
}

TEST(Positions, FalconsSlopesAreScaledAsItsScores) {
  ModelConfig config = heads(4);
  config.alibi_scaled = true;
  config.head_dim = 16;
  EXPECT_THAT(alibi_slopes(config), ElementsAre(0x1p-4f, 0x1p-6f, 0x1p-8f, 0x1p-10f));
}

/// Waves shorter than context / high stay, longer than context / low are divided, between they
/// blend linearly in context / wave.
TEST(Positions, Llama3ScalingHasThreeRegions) {
  ModelConfig config = rope(500000, 128), plain = config;
  config.rope_scaling.kind = RopeScaling::Kind::kLlama3;
  config.rope_scaling.factor = 8;
  config.rope_scaling.low_freq_factor = 1;
  config.rope_scaling.high_freq_factor = 4;
  config.rope_scaling.original_max_positions = 8192;
  const std::vector<float> scaled = rope_frequencies(config, kLength),
                           f = rope_frequencies(plain, kLength);
  int short_waves = 0, long_waves = 0, between = 0;
  for (size_t i = 0; i < f.size(); ++i) {
    const double wave = 2 * std::numbers::pi / f[i];
    if (wave < 8192 / 4.0) {
      EXPECT_EQ(scaled[i], f[i]);
      ++short_waves;
    } else if (wave > 8192) {
      EXPECT_EQ(scaled[i], f[i] / 8);
      ++long_waves;
    } else {
      const double blend = (8192 / wave - 1) / 3;
      EXPECT_THAT(scaled[i], FloatEq(static_cast<float>((1 - blend) * f[i] / 8 + blend * f[i])));
      ++between;
    }
  }
  EXPECT_GT(short_waves, 0);
  EXPECT_GT(long_waves, 0);
  EXPECT_GT(between, 0);
}

TEST(Positions, AlibiSlopes) {
  EXPECT_THAT(alibi_slopes(heads(1)), ElementsAre(0x1p-8f));
  EXPECT_THAT(alibi_slopes(heads(4)), ElementsAre(0x1p-2f, 0x1p-4f, 0x1p-6f, 0x1p-8f));
  // 6 heads: those of 4, then the first and third of 8.
  EXPECT_THAT(alibi_slopes(heads(6)),
              ElementsAre(0x1p-2f, 0x1p-4f, 0x1p-6f, 0x1p-8f, 0x1p-1f, 0x1p-3f));
  const std::vector<float> slopes = alibi_slopes(heads(112));  // BLOOM 176B
  ASSERT_EQ(slopes.size(), 112u);
  for (size_t h = 0; h < 112; ++h) {
    const double exponent =
        h < 64 ? -8.0 * double(h + 1) / 64 : -8.0 * double(2 * (h - 64) + 1) / 128;
    EXPECT_THAT(slopes[h], FloatEq(static_cast<float>(std::exp2(exponent)))) << h;
  }
}

}  // namespace
}  // namespace llmpq
