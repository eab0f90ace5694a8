#include "profile/measure.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/expect_error.hpp"
#include "base/timer.hpp"
#include "profile/fit.hpp"
#include "profile/tiny_measure.hpp"
#include "profile/visits.hpp"

namespace llmpq {
namespace {

Turns alone() {
  return Turns([](double value) { return value; });
}

TEST(Measure, TimesLayersEmbeddingAndHead) {
  const auto backend = make_cpu_backend(1, "auto");
  Turns turns = alone();
  const Measurements measured = measure(tiny(), small_setup(), *backend, turns);
  EXPECT_LT(measured.spent_s, 10);
  EXPECT_FALSE(measured.prefill_apart);
  for (const LayerPoint& point : measured.layer) EXPECT_GT(point.seconds, 0);
  const LatencyModel model = fit_model(measured);
  ASSERT_TRUE(model.layer.contains(Format::kBf16));
  ASSERT_TRUE(model.layer.contains(Format::kW4));
  EXPECT_EQ(model.layer.at(Format::kW4).rows.front(), 1);
  EXPECT_GT(model.embedding.at(8), 0);
  EXPECT_GT(model.head.at(Format::kBf16).at(1), 0);
}

TEST(Measure, TheGridShrinksToTheTime) {
  const auto backend = make_cpu_backend(1, "auto");
  MeasureSetup setup = small_setup();
  setup.limits = {512, 128, 512};
  setup.budget_s = 0.3;
  Turns turns = alone();
  const Measurements measured = measure(tiny(), setup, *backend, turns);
  EXPECT_GT(measured.left_out, 0);
  EXPECT_EQ(fit_model(measured).layer.size(), 2u) << "each format has a curve all the same";
}

TEST(Measure, TheGridShrinksToTheMemory) {
  const auto backend = make_cpu_backend(1, "auto");
  MeasureSetup setup = small_setup();
  setup.memory_bytes = 3 << 20;
  setup.budget_s = 0.5;
  Turns turns = alone();
  const Measurements measured = measure(tiny(), setup, *backend, turns);
  EXPECT_FALSE(measured.layer.empty());
  setup.memory_bytes = 600 << 10;  // a layer has 0.8 MiB in bf16, 0.25 MiB in w4
  Turns again = alone();
  const Measurements less = measure(tiny(), setup, *backend, again);
  ASSERT_FALSE(less.layer.empty());
  EXPECT_EQ(less.layer[0].format, Format::kW4);
  EXPECT_THAT(less.notes, testing::Contains(testing::HasSubstr("bf16 is left out: a layer of")));
  setup.memory_bytes = 1000;
  Turns nothing = alone();
  EXPECT_ERROR(measure(tiny(), setup, *backend, nothing), Exit::kNoPlan, "no layer fits");
}

TEST(Visits, TakeTheQuietestVisit) {
  std::vector<VisitedPoint> points(2);
  points[0].work = 1;
  points[1].work = 2;
  int visits = 0;
  Turns turns = alone();
  Visits all({[&](size_t) { ++visits; },
              [&](int64_t times) {
                const Timer timer;
                while (timer.seconds() < 1e-4 * static_cast<double>(times)) {
                }
                return visits == 3 ? 2e-4 : 1e-4;  // the first point's second visit
              }},
             steady_seconds() + 0.2, turns);
  all.begin(points);
  all.repeat(points);
  ASSERT_GE(points[0].seconds.size(), 2u);
  EXPECT_DOUBLE_EQ(points[0].seconds[1], 2e-4);
  EXPECT_DOUBLE_EQ(quietest(points[0]), 1e-4);
  EXPECT_DOUBLE_EQ(spread_of(points[1]), 0);
}

TEST(Turns, EndWhenAnotherRankFails) {
  double others = 1;  // goes on measuring
  Turns turns([&](double mine) { return std::max(mine, others); });
  EXPECT_TRUE(turns.next());
  others = 2;
  EXPECT_FALSE(turns.next());
  EXPECT_TRUE(turns.over());
  others = 0;
  EXPECT_FALSE(turns.next()) << "for good";
  turns.finish();
}

}  // namespace
}  // namespace llmpq
