#include "profile/moments.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "layer/random.hpp"

namespace llmpq {
namespace {

/// Normal numbers (Box and Muller) with this mean and deviation.
std::vector<float> gaussian(int64_t count, double mean, double deviation) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t bits = draw_bits(11, 2, i);
    const double u = (static_cast<double>(bits >> 32) + 1) / 4294967297.0;
    const double angle = static_cast<double>(bits & 0xffffffffu) / 4294967296.0 * 2 * M_PI;
    values.push_back(
        static_cast<float>(mean + deviation * std::sqrt(-2 * std::log(u)) * std::cos(angle)));
  }
  return values;
}

TEST(Moments, OfAFewNumbersAreTheClosedForm) {
  ChannelMoments moments(2);
  const float rows[] = {1, 10, 2, 10, 3, 10, 6, 10};
  moments.add_rows(rows, 4);
  EXPECT_EQ(moments.rows(), 4);
  EXPECT_DOUBLE_EQ(moments.channel(0).mean, 3);
  EXPECT_DOUBLE_EQ(moments.channel(0).variance(), (4 + 1 + 0 + 9) / 4.0);
  EXPECT_DOUBLE_EQ(moments.channel(0).mean_square(), (1 + 4 + 9 + 36) / 4.0);
  EXPECT_DOUBLE_EQ(moments.channel(1).variance(), 0);
  EXPECT_DOUBLE_EQ(moments.channel(1).mean_square(), 100);
  const Moments all = moments.pooled();  // 1 2 3 6 10 10 10 10
  EXPECT_EQ(all.count, 8);
  EXPECT_DOUBLE_EQ(all.mean, 6.5);
  EXPECT_DOUBLE_EQ(all.mean_square(), 450 / 8.0);
  EXPECT_EQ(Moments{}.variance(), 0);
}

TEST(Moments, MergedAreThoseOfOnePass) {
  const auto values = gaussian(3000, 5, 2);
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{1000}, size_t{2999}, size_t{3000}}) {
    ChannelMoments first(1), second(1), whole(1);
    first.add_rows(values.data(), static_cast<int64_t>(cut));
    second.add_rows(values.data() + cut, static_cast<int64_t>(values.size() - cut));
    whole.add_rows(values.data(), static_cast<int64_t>(values.size()));
    Moments merged = first.channel(0);
    merged.merge(second.channel(0));
    EXPECT_EQ(merged.count, 3000);
    EXPECT_NEAR(merged.mean, whole.channel(0).mean, 1e-12);
    EXPECT_NEAR(merged.squared, whole.channel(0).squared, 1e-8);
  }
}

TEST(Moments, FindTheNormalDistributionThatNumbersCameFrom) {
  constexpr int64_t kCount = 200'000;
  ChannelMoments moments(1);
  moments.add_rows(gaussian(kCount, -3, 0.5).data(), kCount);
  const double root = std::sqrt(static_cast<double>(kCount));
  EXPECT_NEAR(moments.channel(0).mean, -3, 5 * 0.5 / root);
  EXPECT_NEAR(moments.channel(0).variance(), 0.25, 5 * 0.25 * std::sqrt(2.0) / root);
}

/// The sum of squares less the squared sum would lose all digits here.
TEST(Moments, DoNotCancelFarFromZero) {
  ChannelMoments moments(1);
  for (int i = 0; i < 1000; ++i) {
    const float value = 1e6f + static_cast<float>(i % 2);
    moments.add_rows(&value, 1);
  }
  EXPECT_NEAR(moments.channel(0).variance(), 0.25, 1e-9);
}

TEST(Moments, AreTheSameBitsHoweverTheRowsAreCut) {
  constexpr int64_t kRows = 101, kWidth = 7;
  const auto values = gaussian(kRows * kWidth, 1, 3);
  ChannelMoments whole(kWidth);
  whole.add_rows(values.data(), kRows);
  for (const int64_t piece : {1, 2, 10, 100}) {
    ChannelMoments cut(kWidth);
    for (int64_t row = 0; row < kRows; row += piece)
      cut.add_rows(values.data() + row * kWidth, std::min(piece, kRows - row));
    for (int64_t i = 0; i < kWidth; ++i) {
      EXPECT_EQ(cut.channel(i).mean, whole.channel(i).mean);
      EXPECT_EQ(cut.channel(i).squared, whole.channel(i).squared);
    }
  }
}

}  // namespace
}  // namespace llmpq
