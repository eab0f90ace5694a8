// The curve between quality and speed.
#include "plan/sweep.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/timer.hpp"
#include "problem_case.hpp"

namespace llmpq {
namespace {

using testing::HasSubstr;

TEST(Sweep, EachPointIsTheBestWithinItsBoundAndFasterThanTheOneBefore) {
  const OptimizeOptions exactly{0, 30, steady_seconds};
  int curves = 0, longest = 0;
  for (int seed = 90000; seed < 90100; ++seed) {
    Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    const auto points = sweep_quality(problem, exactly, 6);
    problem.theta = 0;
    problem.max_omega.reset();
    ASSERT_EQ(points.empty(), !plan_by(Planner::kJoint, problem, exactly).found);
    for (size_t i = 0; i < points.size(); ++i) {
      const Score& score = points[i].planned.score;
      ASSERT_LE(score.omega, points[i].max_omega * (1 + 1e-9)) << "seed " << seed;
      problem.max_omega = points[i].max_omega;
      const Planned best = plan_by(Planner::kJoint, problem, exactly);
      ASSERT_NEAR(score.time_s, best.score.time_s, 1e-9 * score.time_s) << "seed " << seed;
      if (i == 0) continue;
      const Score& before = points[i - 1].planned.score;
      ASSERT_LT(score.time_s, before.time_s) << "seed " << seed;
      ASSERT_GT(score.omega, before.omega) << "seed " << seed;
      // At that theta both are worth the same.
      ASSERT_NEAR(score.time_s + points[i].theta * score.omega,
                  before.time_s + points[i].theta * before.omega, 1e-9 * before.time_s);
    }
    curves += points.size() > 1;
    longest = std::max(longest, static_cast<int>(points.size()));
    if (points.size() < 2) continue;
    EXPECT_THAT(describe(problem, points), HasSubstr("omega at most"));
    EXPECT_THAT(to_json(problem, points), HasSubstr("\"theta\""));
    EXPECT_THAT(sweep_svg(problem, points), HasSubstr("<polyline class=\"curve\""));
  }
  EXPECT_GT(curves, 20);
  EXPECT_GE(longest, 4);
}

TEST(Sweep, ACurveOfOnePointIsDrawn) {
  Problem problem = ProblemMaker(501).make();
  for (auto& omega : problem.omega) omega.assign(omega.size(), 1);
  const auto points = sweep_quality(problem, {0, 30, steady_seconds});
  ASSERT_EQ(points.size(), 1u);
  const std::string svg = sweep_svg(problem, points);
  EXPECT_THAT(svg, HasSubstr("<circle"));
  EXPECT_THAT(svg, testing::Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace llmpq
