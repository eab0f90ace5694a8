#include "profile/fit.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>

#include "profile/bench_steps.hpp"

namespace llmpq {
namespace {

constexpr GridLimits kLimits{512, 64, 1024};

/// A device whose seconds are those of a latency model.
LatencyModel device(bool prefill_apart) {
  LatencyModel model;
  const std::vector<double> rows{1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
  for (const auto& [format, scale] : {std::pair{Format::kBf16, 2.0}, std::pair{Format::kW4, 1.0}}) {
    Curve& curve = model.layer[format];
    curve.rows = rows;
    for (const double count : rows) curve.seconds.push_back(scale * (20e-6 + 3e-6 * count));
    if (!prefill_apart) continue;
    Curve& chunk = model.prefill_layer[format];
    chunk.rows = rows;
    for (const double count : rows) chunk.seconds.push_back(scale * (45e-6 + 2.9e-6 * count));
  }
  model.prefill_key_s = 8e-9;
  model.decode_key_s = 40e-9;
  if (prefill_apart) {
    model.prefill_context_s = 25e-9;
    model.decode_context_s = 5e-9;
    model.mixed_s = 12e-6;
  }
  return model;
}

using Noise = std::function<double()>;

/// What is measured on the device, each time a little off.
Measurements measurements(const LatencyModel& device, const Noise& noise) {
  Measurements measured;
  measured.prefill_apart = !device.prefill_layer.empty();
  std::vector<BenchStep> steps = held_out_steps(kLimits, 1, 40);
  for (const RowKind kind : {RowKind::kDecode, RowKind::kPrefill})
    for (const auto& part : row_counts(kind, kLimits))
      for (const int64_t rows : part) steps.push_back(step_of_rows(kind, rows, kLimits));
  for (const auto& part : context_steps(kLimits))
    steps.insert(steps.end(), part.begin(), part.end());
  for (const BenchStep& step : steps)
    for (const Format format : {Format::kBf16, Format::kW4}) {
      const StepShape shape = shape_of(step);
      measured.layer.push_back(
          {format, shape, step.held_out, noise() * layer_seconds(device, format, shape).value()});
    }
  for (const double count : {1.0, 8.0, 64.0}) {
    measured.embedding.push_back({count, false, noise() * (1e-6 + 1e-8 * count)});
    if (measured.head.empty()) measured.head.push_back({Format::kBf16, {}});
    measured.head[0].points.push_back({count, false, noise() * (1e-4 + 1e-5 * count)});
  }
  measured.head[0].points.push_back({30, true, 1e-4 + 1e-5 * 30});
  return measured;
}

Noise no_noise() {
  return [] { return 1.0; };
}
Noise noise_of(double share) {
  auto random = std::make_shared<std::mt19937>(7);
  return [random, share] {
    return 1 + share * std::uniform_real_distribution<double>(-1, 1)(*random);
  };
}

TEST(Fit, FindsTheModelThatMadeThePoints) {
  for (const bool apart : {false, true}) {
    const LatencyModel truth = device(apart);
    const Measurements measured = measurements(truth, no_noise());
    const LatencyModel model = fit_model(measured);
    EXPECT_NEAR(model.prefill_key_s, truth.prefill_key_s, 1e-3 * truth.prefill_key_s) << apart;
    EXPECT_NEAR(model.decode_key_s, truth.decode_key_s, 1e-3 * truth.decode_key_s) << apart;
    EXPECT_NEAR(model.prefill_context_s, truth.prefill_context_s, 1e-11);
    EXPECT_NEAR(model.decode_context_s, truth.decode_context_s, 1e-11);
    EXPECT_NEAR(model.mixed_s, truth.mixed_s, 1e-8);
    EXPECT_NEAR(model.layer.at(Format::kW4).at(24), truth.layer.at(Format::kW4).at(24), 1e-8);
    EXPECT_EQ(model.prefill_layer.size(), apart ? 2u : 0u);
    EXPECT_LT(held_out_error(model, measured).value(), 1e-3) << apart;
    EXPECT_LT(fitted_error(model, measured).value(), 1e-3) << apart;
  }
}

TEST(Fit, NoiseIsAveraged) {
  for (const bool apart : {false, true}) {
    const LatencyModel truth = device(apart);
    const Measurements measured = measurements(truth, noise_of(0.05));
    const LatencyModel model = fit_model(measured);
    EXPECT_NEAR(model.decode_key_s, truth.decode_key_s, 0.05 * truth.decode_key_s);
    const double error = held_out_error(model, measured).value();
    EXPECT_LT(error, 0.05) << "mean noise is 2.5 % at both ends";
    EXPECT_GT(error, 0.01) << "held-out points have noise too";
  }
}

TEST(Fit, AWrongFormShowsInTheHeldOutError) {
  // Odd rows take twice as long, and the grid has few of them.
  Measurements measured = measurements(device(false), no_noise());
  for (LayerPoint& point : measured.layer)
    point.seconds = 1e-5 * static_cast<double>(1 + point.shape.rows() % 2);
  const LatencyModel model = fit_model(measured);
  EXPECT_GT(held_out_error(model, measured).value(), 0.1);
}

TEST(Fit, HeldOutPointsAreNotLookedAt) {
  Measurements measured = measurements(device(true), no_noise());
  const LatencyModel before = fit_model(measured);
  for (LayerPoint& point : measured.layer)
    if (point.held_out) point.seconds *= 2;
  for (CountPoint& point : measured.head[0].points)
    if (point.held_out) point.seconds *= 2;
  const LatencyModel after = fit_model(measured);
  EXPECT_EQ(after.layer.at(Format::kW4).seconds, before.layer.at(Format::kW4).seconds);
  EXPECT_EQ(after.decode_key_s, before.decode_key_s);
  EXPECT_EQ(after.head.at(Format::kBf16).seconds, before.head.at(Format::kBf16).seconds);
  EXPECT_NEAR(held_out_error(after, measured).value(), 0.5, 1e-3);
}

TEST(Fit, CurvesDoNotFallAndNothingIsNegative) {
  Measurements measured = measurements(device(true), noise_of(0.6));
  for (LayerPoint& point : measured.layer)
    if (point.shape.rows() == 64) point.seconds /= 4;
  const LatencyModel model = fit_model(measured);
  const auto check = [](const Curve& curve) {
    for (size_t i = 0; i < curve.seconds.size(); ++i) {
      EXPECT_GE(curve.seconds[i], i == 0 ? 0 : curve.seconds[i - 1]);
      EXPECT_GT(curve.rows[i], i == 0 ? 0 : curve.rows[i - 1]);
    }
  };
  for (const auto* curves : {&model.layer, &model.prefill_layer, &model.head})
    for (const auto& [format, curve] : *curves) check(curve);
  check(model.embedding);
  for (const double value : {model.prefill_key_s, model.decode_key_s, model.prefill_context_s,
                             model.decode_context_s, model.mixed_s})
    EXPECT_GE(value, 0);
}

TEST(Fit, AFewPointsAreEnough) {
  Measurements measured;
  EXPECT_TRUE(fit_model(measured).layer.empty());
  EXPECT_FALSE(held_out_error(fit_model(measured), measured));
  measured.layer = {{Format::kW8, {.decode_rows = 1, .decode_keys = 1}, false, 2e-6}};
  const LatencyModel model = fit_model(measured);
  EXPECT_NEAR(layer_seconds(model, Format::kW8, measured.layer[0].shape).value(), 2e-6, 1e-9);
}

}  // namespace
}  // namespace llmpq
