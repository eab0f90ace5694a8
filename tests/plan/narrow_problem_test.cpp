// Narrower problems: what is left of the choice, and that numbers stay what they were.
#include "plan/narrow_problem.hpp"

#include <gtest/gtest.h>

#include "base/timer.hpp"
#include "plan/least_omega.hpp"
#include "problem_case.hpp"

namespace llmpq {
namespace {

Optimum exact(const Problem& problem) { return optimize(problem, {0, 30, steady_seconds}); }

TEST(NarrowProblem, OnlySomeFormats) {
  int found = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const Problem problem = ProblemMaker(seed).make();
    const Problem narrow = with_formats(problem, [](const std::string& f) { return f == "f0"; });
    const Optimum optimum = exact(narrow);
    if (optimum.status != OptimizeStatus::kFound) continue;
    ++found;
    for (const AssignedStage& stage : optimum.assignment.stages)
      EXPECT_EQ(stage.formats, std::vector<int>(stage.formats.size(), 0)) << seed;
    EXPECT_EQ(evaluate(problem, optimum.assignment).objective, optimum.score.objective);
  }
  EXPECT_GT(found, 10);
}

TEST(NarrowProblem, OnlySomeBatchings) {
  const Problem problem = ProblemMaker(252).make();
  ASSERT_GE(problem.batchings.size(), 2u);
  int index = 0;
  const auto [narrow, rows] =
      with_batchings(problem, [&](const Batching&) { return index++ == 1; });
  ASSERT_EQ(narrow.batchings.size(), 1u);
  EXPECT_EQ(rows, std::vector<int>{1});
  EXPECT_EQ(narrow.batchings[0].rounds, problem.batchings[1].rounds);
}

/// Every way to give two stages at least a layer each; the rest of the plan is the best.
TEST(NarrowProblem, FixedStagesStandOnTheirRanks) {
  int found = 0, classes = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Problem problem = ProblemMaker(seed).make();
    int ranks = 0;
    for (const ProblemGroup& group : problem.groups) ranks += static_cast<int>(group.ranks.size());
    if (ranks < 2 || problem.layers < 3 || !problem.order.empty()) continue;
    const std::vector<int64_t> counts{2, problem.layers - 2};
    const Problem fixed = with_fixed_stages(problem, counts);
    check_problem(fixed, "fixed");
    const Optimum optimum = exact(fixed);
    const double best = BruteForce(fixed).best_objective();
    ASSERT_EQ(optimum.status == OptimizeStatus::kFound, std::isfinite(best)) << seed;
    if (optimum.status != OptimizeStatus::kFound) continue;
    ++found;
    classes += problem.classes() > 1;
    EXPECT_NEAR(optimum.score.objective, best, 1e-9 * best) << seed;
    const auto& stages = optimum.assignment.stages;
    ASSERT_EQ(stages.size(), 2u) << seed;
    EXPECT_EQ(stages[0].rank, 0);
    EXPECT_EQ(stages[0].end, 2);
    EXPECT_EQ(stages[1].rank, 1);
    EXPECT_EQ(broken_rule(problem, optimum.assignment), "") << seed;
    EXPECT_EQ(evaluate(problem, optimum.assignment).objective, optimum.score.objective) << seed;
  }
  EXPECT_GT(found, 20);
  EXPECT_GT(classes, 3);
}

TEST(LeastOmega, IsTheSmallestThatFits) {
  int found = 0, above = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Problem problem = ProblemMaker(seed).make();
    problem.max_omega.reset();
    const Optimum least = least_omega(problem, {0, 30, steady_seconds});
    Problem dear = problem;
    dear.theta = 1e9;  // beside which no time counts
    const double best = BruteForce(dear).best_objective() / dear.theta;
    ASSERT_EQ(least.status == OptimizeStatus::kFound, std::isfinite(best)) << seed;
    if (least.status != OptimizeStatus::kFound) continue;
    ++found;
    above += best > 1e-3;
    EXPECT_NEAR(least.score.omega, best, 1e-4) << seed;
    EXPECT_EQ(broken_rule(problem, least.assignment), "") << seed;
  }
  EXPECT_GT(found, 100);
  EXPECT_GT(above, 20);
}

}  // namespace
}  // namespace llmpq
