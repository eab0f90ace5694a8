#include "pipeline/divergence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
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

/// The formula as it stands, in double.
double plainly(const std::vector<float>& p, const std::vector<float>& q) {
  double p_sum = 0, q_sum = 0, nats = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    p_sum += std::exp(double{p[i]});
    q_sum += std::exp(double{q[i]});
  }
  for (size_t i = 0; i < p.size(); ++i) {
    const double log_p = p[i] - std::log(p_sum), log_q = q[i] - std::log(q_sum);
    nats += std::exp(log_p) * (log_p - log_q);
  }
  return nats;
}

TEST(Divergence, IsThePlainFormulasForAnySizeAndDistance) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (const size_t vocab : {1u, 2u, 255u, 257u, 3000u})
    for (const float noise : {1e-3f, 0.1f, 3.0f}) {
      std::vector<float> p, q;
      for (size_t i = 0; i < vocab; ++i) {
        p.push_back(4 * normal(random) - 7);
        q.push_back(p.back() + noise * normal(random) + 2);
      }
      const double want = plainly(p, q);
      EXPECT_NEAR(divergence_of(p, q).nats, want, 5e-8 + 1e-6 * want) << vocab << " " << noise;
    }
}

TEST(Divergence, StaysFiniteWhereAProbabilityVanishes) {
  const std::vector<float> p{0, 0}, q{0, -1000};
  EXPECT_NEAR(divergence_of(p, q).nats, 500 - std::log(2.0), 1e-9);
  EXPECT_NEAR(divergence_of(q, p).nats, std::log(2.0), 1e-12);
}

/// Wherever it lies: blocks of the vocabulary are looked at one after the other.
TEST(Divergence, OfEqualLogitsTheFirstIsTheLikeliest) {
  for (const size_t top : {0u, 1u, 1023u, 1024u, 2999u}) {
    std::vector<float> logits(3000, -1.0f);
    logits[top] = 5;
    EXPECT_TRUE(divergence_of(logits, logits).same_top) << top;
    std::vector<float> earlier = logits;
    earlier[top / 2] = 5;
    EXPECT_EQ(divergence_of(logits, earlier).same_top, top / 2 == top) << top;
    if (top + 1 == logits.size()) continue;
    std::vector<float> later = logits;
    later.back() = 5;
    EXPECT_TRUE(divergence_of(logits, later).same_top) << top;
  }
}

TEST(Divergence, RefusesWhatIsNoDistribution) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> good{0, 1}, bad{0, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_ERROR(divergence_of(good, bad), Exit::kModel, "a logit is nan");
  EXPECT_ERROR(divergence_of(bad, good), Exit::kModel, "a logit is nan");
  for (const float value : {infinity, -infinity})
    for (const size_t at : {0u, 1u, 1500u}) {
      std::vector<float> row(2000, 1.0f), broken = row;
      broken[at] = value;
      EXPECT_ERROR(divergence_of(row, broken), Exit::kModel, "inf: there is no distribution");
      EXPECT_ERROR(divergence_of(broken, row), Exit::kModel, "inf: there is no distribution");
    }
  const std::vector<float> far{3e38f, -3e38f};
  EXPECT_ERROR(divergence_of(good, far), Exit::kModel, "further apart than floats reach");
}

}  // namespace
}  // namespace llmpq
