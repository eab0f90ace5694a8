#include "profile/bench_steps.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace llmpq {
namespace {

constexpr GridLimits kLimits{512, 64, 1024};

std::vector<BenchStep> all_steps(const GridLimits& limits) {
  std::vector<BenchStep> steps = held_out_steps(limits, 3, 20);
  for (const RowKind kind : {RowKind::kAny, RowKind::kDecode, RowKind::kPrefill})
    for (const auto& part : row_counts(kind, limits))
      for (const int64_t rows : part) steps.push_back(step_of_rows(kind, rows, limits));
  for (const auto& part : context_steps(limits))
    steps.insert(steps.end(), part.begin(), part.end());
  return steps;
}

TEST(BenchSteps, ShapesCountRowsAndKeys) {
  const BenchStep step{{{1, 9}, {1, 0}, {3, 5}}};
  const StepShape shape = shape_of(step);
  EXPECT_EQ(shape.decode_rows, 2);
  EXPECT_EQ(shape.decode_keys, 10 + 1);
  EXPECT_EQ(shape.prefill_rows, 3);
  EXPECT_EQ(shape.prefill_keys, 6 + 7 + 8);
  EXPECT_EQ(shape.samples, 3);
  EXPECT_EQ(blocks_of(step, 4), 3 + 1 + 2);
}

TEST(BenchSteps, StayWithinTheLimits) {
  for (const GridLimits limits : {kLimits, GridLimits{1, 1, 1}, GridLimits{7, 3, 40},
                                  GridLimits{2048, 256, 4096}, GridLimits{512, 128, 100}}) {
    const auto steps = all_steps(limits);
    EXPECT_FALSE(steps.empty());
    for (const BenchStep& step : steps) {
      const StepShape shape = shape_of(step);
      EXPECT_LE(shape.rows(), limits.max_rows);
      EXPECT_LE(shape.decode_rows, limits.max_sequences);
      for (const BenchRange& range : step.ranges) {
        EXPECT_GE(range.rows, 1);
        EXPECT_GE(range.position, 0);
        EXPECT_LE(range.position + range.rows, limits.max_context);
      }
    }
  }
}

TEST(BenchSteps, RowsGoFromOneToTheMost) {
  std::set<int64_t> rows;
  for (const auto& part : row_counts(RowKind::kAny, kLimits)) rows.insert(part.begin(), part.end());
  EXPECT_THAT(rows, testing::IsSupersetOf<int64_t>({1, 2, 3, 4, 8, 64, 96, 512}));
  EXPECT_EQ(*rows.rbegin(), 512);
  EXPECT_THAT(row_counts(RowKind::kDecode, kLimits)[0], testing::Contains(64));
  EXPECT_THAT(doubling(6), testing::ElementsAre(1, 2, 4, 6));
}

TEST(BenchSteps, HeldOutStepsHaveAllKindsAndAreTheirSeeds) {
  const auto steps = held_out_steps(kLimits, 5, 30);
  ASSERT_EQ(steps.size(), 30u);
  int decode = 0, prefill = 0, mixed = 0;
  for (const BenchStep& step : steps) {
    EXPECT_TRUE(step.held_out);
    const StepShape shape = shape_of(step);
    decode += shape.prefill_rows == 0;
    prefill += shape.decode_rows == 0;
    mixed += shape.prefill_rows > 0 && shape.decode_rows > 0;
  }
  EXPECT_GE(decode, 5);
  EXPECT_GE(prefill, 5);
  EXPECT_GE(mixed, 5);
  const auto keys = [](const std::vector<BenchStep>& list) {
    std::vector<int64_t> all;
    for (const BenchStep& step : list)
      all.push_back(shape_of(step).prefill_keys + shape_of(step).decode_keys);
    return all;
  };
  EXPECT_EQ(keys(steps), keys(held_out_steps(kLimits, 5, 30)));
  EXPECT_NE(keys(steps), keys(held_out_steps(kLimits, 6, 30)));
}

TEST(BenchSteps, StairsAreFoundAndSlopesAreNot) {
  std::vector<RowSeconds> points;
  for (const int64_t rows : {1, 8, 16, 24, 32, 48, 64})  // tiles of 32 rows
    points.push_back({rows, 1e-4 * std::ceil(static_cast<double>(rows) / 32) + 1e-7});
  EXPECT_THAT(rows_at_stairs(points), testing::ElementsAre(40));
  points.push_back({40, 2e-4});
  EXPECT_THAT(rows_at_stairs(points), testing::ElementsAre(36));
  points.clear();
  for (const int64_t rows : {1, 2, 4, 8, 16, 32, 64, 128})
    points.push_back({rows, 1e-4 + 1e-6 * static_cast<double>(rows)});
  EXPECT_THAT(rows_at_stairs(points), testing::IsEmpty());
  EXPECT_THAT(rows_at_stairs({}), testing::IsEmpty());
}

}  // namespace
}  // namespace llmpq
