// What would change a plan: by hand, and what must hold on random problems.
#include "plan/what_if.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/timer.hpp"
#include "plan/change_problem.hpp"
#include "problem_case.hpp"

namespace llmpq {
namespace {

using testing::HasSubstr;

OptimizeOptions exactly() { return {0, 30, steady_seconds}; }

/// Six layers of one second on two equal devices, and one that takes ten times as long.
Problem with_a_slow_one() {
  constexpr double kGiB = 1 << 30;
  Problem problem;
  problem.name = "slow";
  problem.layers = 6;
  problem.formats = {"w8"};
  problem.layer_bytes = {{kGiB}};
  problem.omega.assign(6, {0});
  problem.prefill_tokens = {64};
  problem.decode_sequences = {4};
  problem.kinds = {{"fast", {{{1}}}, {{{0}}}, {0}, {0}, {0}, {0}},
                   {"slow", {{{10}}}, {{{0}}}, {0}, {0}, {0}, {0}}};
  problem.groups = {{"Fast", 0, {0, 1}, 3 * kGiB}, {"Slow", 1, {2}, 3 * kGiB}};
  problem.links = {{{0, 0}, {0, 0}}, {{0, 0}, {0, 0}}, 0, false};
  Batching row;
  row.in_flight = 2;
  row.prefill_max = 10;
  row.kv_bytes_per_layer = {0};
  problem.batchings = {row};
  return problem;
}

TEST(WhatIf, ByHand) {
  const Problem problem = with_a_slow_one();
  const Planned best = plan_by(Planner::kJoint, problem, exactly());
  ASSERT_TRUE(best.found);
  EXPECT_NEAR(best.score.time_s, 30, 1e-9);
  const WhatIfs answers = what_if(problem, best, exactly());
  EXPECT_THAT(answers.binding, HasSubstr("prefill takes 100 % of the time, and stage 0"));
  EXPECT_THAT(answers.binding, HasSubstr("with 0 B to spare"));
  ASSERT_EQ(answers.more_devices.size(), 2u);
  EXPECT_EQ(answers.more_devices[0].change, "one more Fast");
  EXPECT_NEAR(answers.more_devices[0].planned.score.time_s, 20, 1e-9);
  EXPECT_NEAR(answers.more_devices[1].planned.score.time_s, 30, 1e-9);
  ASSERT_TRUE(answers.more_memory);
  EXPECT_NEAR(answers.more_memory->planned.score.time_s, 30, 1e-9);
  ASSERT_EQ(answers.forced.size(), 1u);
  EXPECT_THAT(answers.forced[0].change, HasSubstr("rank 2 (Slow), which idles"));
  EXPECT_NEAR(answers.forced[0].planned.score.time_s, 100, 1e-9);
  const std::string table = describe(best, answers);
  for (const char* part : {"as it is", "-33.3 %", "+233.3 %"}) EXPECT_THAT(table, HasSubstr(part));
  EXPECT_THAT(to_json(answers), HasSubstr("\"change\": \"one more Fast\""));
}

TEST(WhatIf, MoreIsNeverWorseAndForceNeverBetter) {
  int explained = 0, forced = 0, helped = 0;
  for (int seed = 80000; seed < 80120; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    const Planned best = plan_by(Planner::kJoint, problem, exactly());
    if (!best.found) continue;
    ++explained;
    const double objective = best.score.objective;
    const WhatIfs answers = what_if(problem, best, exactly());
    for (const WhatIf& one : answers.more_devices) {
      ASSERT_TRUE(one.planned.found) << "seed " << seed;
      ASSERT_LE(one.planned.score.objective, objective * (1 + 1e-9)) << "seed " << seed;
      helped += one.planned.score.objective < objective * (1 - 1e-6);
    }
    ASSERT_LE(answers.more_memory->planned.score.objective, objective * (1 + 1e-9));
    for (const WhatIf& one : answers.forced) {
      if (!one.planned.found) continue;
      ++forced;
      ASSERT_GE(one.planned.score.objective, objective * (1 - 1e-9)) << "seed " << seed;
    }
  }
  EXPECT_GT(explained, 50);
  EXPECT_GT(forced, 10);
  EXPECT_GT(helped, 10);
}

TEST(ChangeProblem, ARankOfItsOwnIsTheSameDevice) {
  int split = 0, alone = 0;
  for (int seed = 81000; seed < 81200; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    const Planned before = plan_by(Planner::kJoint, problem, exactly());
    const int rank = problem.groups[0].ranks.back();
    const Problem own = with_own_group(problem, rank);
    ASSERT_EQ(own.groups.back().ranks, std::vector{rank});
    (problem.groups[0].ranks.size() > 1 ? split : alone) += problem.groups.size() > 1;
    const Planned after = plan_by(Planner::kJoint, own, exactly());
    ASSERT_EQ(before.found, after.found) << "seed " << seed;
    if (!before.found) continue;
    ASSERT_NEAR(before.score.objective, after.score.objective, 1e-9 * before.score.objective)
        << "seed " << seed;
  }
  EXPECT_GT(split, 10);
  EXPECT_GT(alone, 10);
}

TEST(ChangeProblem, ALayerStandsWhereItMust) {
  int found = 0;
  for (int seed = 82000; seed < 82200; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    const int group = static_cast<int>(problem.groups.size()) - 1, layer = problem.layers / 2;
    const Planned planned =
        plan_by(Planner::kJoint, with_layer_on(problem, group, layer), exactly());
    if (!planned.found) continue;
    ++found;
    ASSERT_EQ(broken_rule(problem, planned.assignment), "") << "seed " << seed;
    for (const AssignedStage& stage : planned.assignment.stages)
      ASSERT_TRUE(layer < stage.begin || layer >= stage.end ||
                  problem.group_of(stage.rank) == group)
          << "seed " << seed;
  }
  EXPECT_GT(found, 50);
}

TEST(ChangeProblem, ANewDeviceIsLinkedAsItsFastestNeighbour) {
  Problem problem = with_a_slow_one();
  problem.links.latency_s = {{1, 2}, {3, 0}};
  problem.links.s_per_byte = {{0.5, 0.25}, {0.125, 0}};
  problem.order = {2, 0, 1};
  const Problem changed = with_another_device(problem, 1);
  EXPECT_EQ(changed.groups[1].ranks, (std::vector{2, 3}));
  EXPECT_EQ(changed.links.latency_s[1][1], 3);
  EXPECT_EQ(changed.links.s_per_byte[1][1], 0.125);
  EXPECT_EQ(changed.order, (std::vector{2, 3, 0, 1}));
  EXPECT_EQ(with_another_device(problem, 0).links.latency_s[0][0], 1);
}

}  // namespace
}  // namespace llmpq
