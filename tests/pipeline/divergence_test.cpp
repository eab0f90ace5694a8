#include "pipeline/divergence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/expect_error.hpp"

namespace llmpq {
namespace {

TEST(Divergence, OfEqualLogitsIsExactlyNone) {
  const std::vector<float> logits{0.1f, -3.7f, 12.3f, 12.3f, -80.0f};
  const Divergence same = divergence_of(logits, logits);
  EXPECT_EQ(same.nats, 0);
  EXPECT_TRUE(same.same_top);
}

/// p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2): KL = 1/2 ln 2 - 1/4 ln 2.
TEST(Divergence, IsTheTextbooks) {
  const std::vector<float> p{std::log(2.0f), 0, 0}, q{5, 5, 5 + std::log(2.0f)};
  const Divergence found = divergence_of(p, q);
  EXPECT_NEAR(found.nats, 0.25 * std::log(2.0), 1e-7);
  EXPECT_FALSE(found.same_top);
}

TEST(Divergence, StaysFiniteWhereAProbabilityVanishes) {
  const std::vector<float> p{0, 0}, q{0, -1000};
  EXPECT_NEAR(divergence_of(p, q).nats, 500 - std::log(2.0), 1e-9);
  EXPECT_EQ(divergence_of(q, p).nats, std::log(2.0));
}

TEST(Divergence, RefusesWhatIsNoDistribution) {
  const std::vector<float> good{0, 1}, bad{0, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_ERROR(divergence_of(good, bad), Exit::kModel, "a logit is nan");
  EXPECT_ERROR(divergence_of(bad, good), Exit::kModel, "a logit is nan");
}

}  // namespace
}  // namespace llmpq
