#include "base/estimate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace llmpq {
namespace {

/// Groups of one observation: the textbook's standard error of a mean, s / sqrt(n).
TEST(Estimate, OfSingleObservationsIsTheMeansOwn) {
  const std::vector<GroupSum> groups{{1, 1}, {2, 1}, {4, 1}, {5, 1}};
  const Estimate mean = mean_of_groups(groups);
  EXPECT_DOUBLE_EQ(mean.value, 3);
  ASSERT_TRUE(mean.error);
  EXPECT_DOUBLE_EQ(*mean.error, std::sqrt((4 + 1 + 1 + 4) / 3.0 / 4.0));
}

/// The spread of many estimates is what each of them says of itself, groups of unlike size.
TEST(Estimate, OfUnlikeGroupsFitsTheSpreadOfManyEstimates) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  constexpr int kRuns = 2000, kGroups = 60;
  double sum = 0, squares = 0, promised = 0;
  for (int run = 0; run < kRuns; ++run) {
    std::vector<GroupSum> groups;
    for (int g = 0; g < kGroups; ++g) {
      const double common = normal(random), count = 1 + g % 5;
      GroupSum group{0, count};
      for (int i = 0; i < count; ++i) group.sum += 2 + common + 0.5 * normal(random);
      groups.push_back(group);
    }
    const Estimate mean = mean_of_groups(groups);
    sum += mean.value;
    squares += mean.value * mean.value;
    promised += *mean.error;
  }
  const double spread = std::sqrt(squares / kRuns - sum * sum / kRuns / kRuns);
  EXPECT_NEAR(promised / kRuns / spread, 1, 0.06);
}

TEST(Estimate, OneGroupKnowsNoError) {
  const std::vector<GroupSum> groups{{3, 2}};
  EXPECT_EQ(mean_of_groups(groups).value, 1.5);
  EXPECT_FALSE(mean_of_groups(groups).error);
  EXPECT_FALSE(exp_of(mean_of_groups(groups)).error);
}

/// Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
TEST(Estimate, WilsonsIntervalIsThatOfTheLiterature) {
  struct Case {
    int64_t successes, trials;
    double low, high;
  };
  for (const Case& c : {Case{81, 263, 0.2553, 0.3662}, Case{15, 148, 0.0624, 0.1605},
                        Case{0, 20, 0.0, 0.1611}, Case{1, 29, 0.0061, 0.1718}}) {
    const Share95 share = wilson_share(c.successes, c.trials);
    EXPECT_NEAR(share.low, c.low, 5e-5) << c.successes;
    EXPECT_NEAR(share.high, c.high, 5e-5) << c.successes;
  }
  EXPECT_EQ(wilson_share(20, 20).high, 1);
}

}  // namespace
}  // namespace llmpq
