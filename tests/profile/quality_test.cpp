#include "profile/quality.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "layer/random.hpp"
#include "profile/sensitivity.hpp"

namespace llmpq {
namespace {

constexpr int64_t kLayers = 8;

double& at(ByFormat& layer, Format format) { return layer[static_cast<size_t>(format)]; }

/// The losses that omega would have if it were right but for a factor by layer and by format.
std::vector<ByFormat> true_losses(const std::vector<ByFormat>& omega, double spread) {
  std::vector<ByFormat> losses = omega;
  for (size_t i = 0; i < losses.size(); ++i) {
    const double factor = std::exp(i % 2 == 0 ? spread : -spread);
    at(losses[i], Format::kW8) *= 0.2 * factor;
    at(losses[i], Format::kW4) *= 0.2 * factor;
    at(losses[i], Format::kW3) *= 0.4 * factor;
  }
  return losses;
}

/// Runs as they come out if losses add up, all with the same standard error.
std::vector<CalibrationRun> runs_of(const std::vector<ByFormat>& losses, int count, double error) {
  std::vector<CalibrationRun> runs;
  for (const auto& formats : calibration_formats(kLayers, Format::kBf16, count, 3))
    runs.push_back({formats, sum_at(losses, formats), error});
  return runs;
}

TEST(CalibrationFormats, AreUniformFirstAndThenDrawn) {
  const auto all = calibration_formats(kLayers, Format::kF16, 10, 1);
  ASSERT_EQ(all.size(), 10u);
  EXPECT_EQ(all[0], std::vector<Format>(kLayers, Format::kW3));
  EXPECT_EQ(all[1], std::vector<Format>(kLayers, Format::kW4));
  EXPECT_EQ(all[2], std::vector<Format>(kLayers, Format::kW8));
  std::set<Format> seen;
  for (size_t i = 3; i < all.size(); ++i) seen.insert(all[i].begin(), all[i].end());
  EXPECT_EQ(seen, (std::set<Format>{Format::kF16, Format::kW8, Format::kW4, Format::kW3}));
  EXPECT_EQ(all, calibration_formats(kLayers, Format::kF16, 10, 1));
  EXPECT_NE(all, calibration_formats(kLayers, Format::kF16, 10, 2));
  EXPECT_EQ(calibration_formats(kLayers, Format::kBf16, 2, 1).size(), 2u);
  EXPECT_TRUE(calibration_formats(kLayers, Format::kBf16, 0, 1).empty());
}

TEST(Quality, LearnsTheScaleOfARightIndicator) {
  const auto omega = random_omega(kLayers, 5);
  const auto losses = true_losses(omega, 0);
  const auto quality = fit_quality(omega, runs_of(losses, 12, 1e-9));
  ASSERT_TRUE(quality);
  EXPECT_NEAR(quality->relative_error, 0.1, 1e-12) << "no better is ever claimed";
  for (size_t i = 0; i < losses.size(); ++i)
    for (size_t j = 0; j < kFormats.size(); ++j)
      EXPECT_NEAR(quality->loss_increase[i][j], losses[i][j], 1e-6 * losses[i][j]);
}

/// A wrong indicator is mended by the mixed runs, as far as they tell.
TEST(Quality, CorrectsAnIndicatorThatIsOffByLayers) {
  const auto omega = random_omega(kLayers, 5);
  const auto losses = true_losses(omega, 0.7);
  const auto plain = fit_quality(omega, runs_of(losses, 3, 1e-6));
  const auto mended = fit_quality(omega, runs_of(losses, 40, 1e-6));
  ASSERT_TRUE(plain && mended);
  const auto off = [&](const Quality& quality) {
    double squared = 0;
    for (const auto& formats : calibration_formats(kLayers, Format::kBf16, 30, 99))
      squared +=
          std::pow(std::log(sum_at(quality.loss_increase, formats) / sum_at(losses, formats)), 2);
    return std::sqrt(squared / 30);
  };
  EXPECT_GT(off(*plain), 0.1) << "nothing to mend";
  EXPECT_LT(off(*mended), off(*plain) / 5);
  EXPECT_LT(mended->relative_error, 0.3);
  EXPECT_EQ(plain->relative_error, 1) << "uniform runs alone cannot tell how good they are";
}

TEST(Quality, TakesTheScaleOfFewerBitsWhereARunTellsNothing) {
  const auto omega = random_omega(kLayers, 6);
  auto runs = runs_of(true_losses(omega, 0), 3, 1e-6);
  ASSERT_EQ(runs[2].formats[0], Format::kW8);
  runs[2].loss_increase = -1e-6;
  runs[2].error = 1e-5;
  const auto quality = fit_quality(omega, runs);
  ASSERT_TRUE(quality);
  const ByFormat& layer = quality->loss_increase[0];
  const double steps = std::pow(127.0 / 7, 2);
  EXPECT_NEAR(layer[static_cast<size_t>(Format::kW8)] * steps,
              layer[static_cast<size_t>(Format::kW4)], 1e-9);
}

TEST(Quality, IsNotMadeFromNoise) {
  const auto omega = random_omega(kLayers, 6);
  EXPECT_FALSE(fit_quality(omega, runs_of(true_losses(omega, 0), 12, 10)));
  EXPECT_FALSE(fit_quality(omega, {}));
  const std::vector<ByFormat> zeros(kLayers);
  EXPECT_FALSE(fit_quality(zeros, runs_of(true_losses(omega, 0), 3, 1e-6)));
}

TEST(Quality, PromisesWhatItForesees) {
  Quality quality;
  quality.relative_error = 0.1;
  const PerplexityIncrease none = quality.predicted_perplexity_increase(0);
  EXPECT_EQ(none.value, 0);
  EXPECT_EQ(none.error, 0);
  const PerplexityIncrease one = quality.predicted_perplexity_increase(std::log(1.01));
  EXPECT_NEAR(one.value, 0.01, 1e-12);
  EXPECT_NEAR(one.error, 0.001, 2e-5);
  EXPECT_NEAR(quality.largest_loss_sum(0.01, 0), std::log(1.01), 1e-12);
  EXPECT_LT(quality.largest_loss_sum(0.01, 1), quality.largest_loss_sum(0.01, 0));
}

}  // namespace
}  // namespace llmpq
