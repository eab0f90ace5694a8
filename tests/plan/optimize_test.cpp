// The optimizer against brute force on random small problems of every kind, and what must hold of
// any optimum: rules kept, bounds below, more memory or speed never worse, names without meaning.
#include "plan/optimize.hpp"

#include <gtest/gtest.h>

#include "base/timer.hpp"
#include "plan/problem_json.hpp"
#include "plan_fixture.hpp"
#include "problem_case.hpp"

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Optimum exact(const Problem& problem) { return optimize(problem, {0, 30, steady_seconds}); }

/// Infinity if there is no plan.
double objective_of(const Problem& problem) {
  const Optimum optimum = exact(problem);
  EXPECT_NE(optimum.status, OptimizeStatus::kNothingFound);
  return optimum.status == OptimizeStatus::kFound ? optimum.score.objective : kInfinity;
}

/// Counts what the random problems had, so that a test can be sure that it tested something.
struct Seen {
  int infeasible = 0, theta = 0, bounded = 0, ordered = 0, classes = 0, linked = 0, shared = 0;
  int alike = 0;
  int mix[3] = {};

  void add(const Problem& problem, double best) {
    infeasible += std::isinf(best);
    theta += problem.theta > 0;
    bounded += problem.max_omega.has_value();
    ordered += !problem.order.empty();
    classes += problem.classes() > 1;
    alike += problem.layers > 2 && problem.max_omega && problem.layers_are_alike();
    linked += problem.links.latency_s[0][0] > 0;
    for (const Batching& batching : problem.batchings) {
      shared += batching.shared_bytes > 0;
      ++mix[static_cast<int>(batching.mix)];
    }
  }
  int least() const {
    return std::min({infeasible, theta, bounded, ordered, classes, linked, shared, alike, mix[0],
                     mix[1], mix[2]});
  }
};

class AgainstBruteForce : public testing::TestWithParam<int> {};

TEST_P(AgainstBruteForce, TheBestPlanAndItsProof) {
  constexpr int kProblems = 1000;
  Seen seen;
  for (int i = 0; i < kProblems; ++i) {
    const int seed = GetParam() * kProblems + i;
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    const double best = BruteForce(problem).best_objective();
    seen.add(problem, best);
    const Optimum optimum = exact(problem);
    if (std::isinf(best)) {
      ASSERT_EQ(optimum.status, OptimizeStatus::kInfeasible) << "seed " << seed;
      continue;
    }
    ASSERT_EQ(optimum.status, OptimizeStatus::kFound) << "seed " << seed;
    ASSERT_NEAR(optimum.score.objective, best, 1e-9 * best) << "seed " << seed;
    ASSERT_NEAR(optimum.lower_bound, best, 1e-9 * best) << "seed " << seed;
    ASSERT_EQ(broken_rule(problem, optimum.assignment), "") << "seed " << seed;
  }
  EXPECT_GE(seen.least(), 20);
}

INSTANTIATE_TEST_SUITE_P(Random, AgainstBruteForce, testing::Range(0, 10));

TEST(Optimize, AGapStopsEarlierAndItsBoundHolds) {
  int64_t boxes = 0, exact_boxes = 0;
  for (int seed = 20000; seed < 20300; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    const Optimum best = exact(problem), near = optimize(problem, {0.1, 30, steady_seconds});
    ASSERT_EQ(near.status, best.status) << "seed " << seed;
    if (best.status != OptimizeStatus::kFound) continue;
    boxes += near.boxes;
    exact_boxes += best.boxes;
    ASSERT_LE(near.gap(), 0.1 + 1e-9) << "seed " << seed;
    ASSERT_LE(near.lower_bound, best.score.objective * (1 + 1e-9)) << "seed " << seed;
    ASSERT_GE(near.score.objective, best.score.objective * (1 - 1e-9)) << "seed " << seed;
  }
  EXPECT_LT(boxes, exact_boxes);
}

TEST(Optimize, WhatIsNotWorthItIsNotLookedFor) {
  int found = 0, nothing = 0;
  for (int seed = 60000; seed < 60200; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    const double best = objective_of(problem);
    if (std::isinf(best)) continue;
    OptimizeOptions options{0, 30, steady_seconds};
    options.worth = best * 1.01;
    const Optimum below = optimize(problem, options);
    ASSERT_EQ(below.status, OptimizeStatus::kFound) << "seed " << seed;
    ASSERT_NEAR(below.score.objective, best, 1e-9 * best) << "seed " << seed;
    found += 1;
    options.worth = best * 0.99;
    const Optimum none = optimize(problem, options);
    // A plan that was met on the way is kept, though it is not worth it.
    ASSERT_NE(none.status, OptimizeStatus::kInfeasible) << "seed " << seed;
    ASSERT_LE(none.lower_bound, best * (1 + 1e-9)) << "seed " << seed;
    ASSERT_GE(none.lower_bound, options.worth * (1 - 1e-9)) << "seed " << seed;
    nothing += none.status == OptimizeStatus::kNothingFound;
  }
  EXPECT_GE(found, 100);
  EXPECT_GE(nothing, 30);
}

TEST(Optimize, MoreMemoryOrAFasterDeviceIsNeverWorse) {
  int better = 0;
  for (int seed = 30000; seed < 30200; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    const double before = objective_of(problem);
    Problem roomy = problem, fast = problem;
    roomy.groups[0].memory_bytes *= 1.5;
    for (LayerSeconds* table : {&fast.kinds[0].prefill_s, &fast.kinds[0].decode_s})
      for (auto& of_class : *table)
        for (auto& row : of_class)
          for (double& seconds : row) seconds *= 0.8;
    for (const Problem& changed : {roomy, fast}) {
      const double after = objective_of(changed);
      ASSERT_TRUE(after <= before * (1 + 1e-9)) << "seed " << seed << ": " << after;
      better += after < before * (1 - 1e-6);
    }
  }
  EXPECT_GT(better, 50);
}

TEST(Optimize, NamesAndPlacesOfEqualDevicesMeanNothing) {
  int split = 0;
  for (int seed = 40000; seed < 40200; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    if (!problem.order.empty()) continue;
    const double before = objective_of(problem);
    Problem renamed = problem;
    for (ProblemGroup& group : renamed.groups) {
      std::reverse(group.ranks.begin(), group.ranks.end());
      for (int& rank : group.ranks) rank += 100;
    }
    // A device of its own group is the same device.
    Problem alone = problem;
    if (problem.groups[0].ranks.size() > 1) {
      ++split;
      alone.groups.push_back(problem.groups[0]);
      alone.groups[0].ranks.pop_back();
      alone.groups.back().ranks = {problem.groups[0].ranks.back()};
      for (auto* table : {&alone.links.latency_s, &alone.links.s_per_byte}) {
        for (auto& row : *table) row.push_back(row[0]);
        table->push_back((*table)[0]);
      }
    }
    for (const Problem& changed : {renamed, alone}) {
      const double after = objective_of(changed);
      if (std::isinf(before))
        ASSERT_TRUE(std::isinf(after)) << "seed " << seed;
      else
        ASSERT_NEAR(after, before, 1e-9 * before) << "seed " << seed;
    }
  }
  EXPECT_GT(split, 20);
}

/// Twelve equal layers that need two of three devices.
Problem twelve_layers() {
  Problem problem;
  problem.name = "twelve";
  problem.layers = 12;
  problem.formats = {"w8", "w4"};
  problem.layer_bytes = {{10, 5}};
  problem.omega.assign(12, {0, 1});
  problem.prefill_tokens = {64};
  problem.decode_sequences = {8};
  problem.kinds = {{"a", {{{1}, {1}}}, {{{0.1}, {0.06}}}, {0}, {0}, {0}, {0}},
                   {"b", {{{4}, {4}}}, {{{0.4}, {0.3}}}, {0}, {0}, {0}, {0}}};
  problem.groups = {{"A", 0, {0, 1}, 70}, {"B", 1, {2}, 70}};
  problem.links = {{{0, 0}, {0, 0}}, {{0, 0}, {0, 0}}, 0, false};
  Batching batching;
  batching.in_flight = 4;
  batching.prefill_max = 10;
  batching.rounds = 20;
  batching.kv_bytes_per_layer = {0};
  problem.batchings = {batching};
  return problem;
}

TEST(Optimize, FastDevicesShareAllLayersAndTheSlowOneIsLeftOut) {
  // Seven w8 layers fill a device of 70 bytes, so six on each fit; TP = 6, TD = 6 x 0.06 in w4:
  // 10 x 6 + 20 x 4 x 0.36 = 88.8.
  const Optimum optimum = exact(twelve_layers());
  ASSERT_EQ(optimum.status, OptimizeStatus::kFound);
  EXPECT_NEAR(optimum.score.objective, 88.8, 1e-9);
  EXPECT_NEAR(optimum.lower_bound, 88.8, 1e-9);
  ASSERT_EQ(optimum.assignment.stages.size(), 2u);
  for (const AssignedStage& stage : optimum.assignment.stages) EXPECT_LT(stage.rank, 2);
}

TEST(Optimize, ABoundOnOmegaIsKept) {
  Problem problem = twelve_layers();
  // The slow device takes one layer: six with three in w4, five with one, one.
  problem.max_omega = 4;
  const Optimum optimum = exact(problem);
  ASSERT_EQ(optimum.status, OptimizeStatus::kFound);
  EXPECT_NEAR(optimum.score.objective, 60 + 80 * 0.48, 1e-9);
  EXPECT_LE(optimum.score.omega, 4);
}

TEST(Optimize, WhatCannotFitIsProvenInfeasible) {
  Problem problem = twelve_layers();
  problem.groups = {{"A", 0, {0}, 55}};  // eleven w4 layers
  problem.links = {{{0}}, {{0}}, 0, false};
  EXPECT_EQ(exact(problem).status, OptimizeStatus::kInfeasible);
  problem.groups[0].memory_bytes = 60;
  EXPECT_EQ(exact(problem).status, OptimizeStatus::kFound);
  problem.max_omega = 11;
  EXPECT_EQ(exact(problem).status, OptimizeStatus::kInfeasible);
}

TEST(Optimize, WithoutTimeNothingFoundIsNotInfeasible) {
  const Optimum optimum = optimize(twelve_layers(), {0, 0, steady_seconds});
  EXPECT_EQ(optimum.status, OptimizeStatus::kNothingFound);
  EXPECT_LE(optimum.lower_bound, 88.8);
}

TEST(Optimize, AtTheTimeLimitTheTrueGapIsTold) {
  double now = 0;  // a clock that only runs when it is looked at
  const Problem problem = ProblemMaker(22).make();
  for (const double limit : {3.0, 10.0, 30.0, 100.0}) {
    const Optimum optimum = optimize(problem, {0, limit, [&] { return now += 0.1; }});
    if (optimum.status != OptimizeStatus::kFound) continue;
    EXPECT_LE(optimum.lower_bound, exact(problem).score.objective * (1 + 1e-9));
  }
}

TEST(Optimize, TheFixedOrderIsKeptAndRanksMayBeLeftOut) {
  Problem problem = twelve_layers();
  problem.order = {1, 2, 0};
  const Optimum optimum = exact(problem);
  ASSERT_EQ(optimum.assignment.stages.size(), 2u);
  EXPECT_EQ(optimum.assignment.stages[0].rank, 1);
  EXPECT_EQ(optimum.assignment.stages[1].rank, 0);
}

TEST(Optimize, BoundsHoldWhereStatesAreTooManyToCount) {
  int found = 0, exact_where_alike = 0;
  for (int seed = 50000; seed < 51000; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    if (!problem.order.empty()) continue;
    const double best = BruteForce(problem).best_objective();
    double now = 0;  // a clock that only runs when it is looked at
    OptimizeOptions options{0, 100, [&] { return now += 1; }};
    options.most_states = 1;
    const Optimum optimum = optimize(problem, options);
    ASSERT_TRUE(optimum.status != OptimizeStatus::kInfeasible || std::isinf(best)) << seed;
    ASSERT_LE(optimum.lower_bound, best * (1 + 1e-9)) << "seed " << seed;
    if (optimum.status != OptimizeStatus::kFound) continue;
    ++found;
    ASSERT_EQ(broken_rule(problem, optimum.assignment), "") << "seed " << seed;
    ASSERT_GE(optimum.score.objective, best * (1 - 1e-9)) << "seed " << seed;
    exact_where_alike += problem.layers_are_alike() && optimum.gap() < 1e-9;
  }
  EXPECT_GE(found, 600);
  EXPECT_GE(exact_where_alike, 300);
}

/// 64 devices of four kinds and more layers: too many states to count.
Problem hundred_layers() {
  Problem problem = twelve_layers();
  problem.layers = 100;
  problem.omega.assign(100, {0, 1});
  problem.groups.clear();
  for (int g = 0; g < 4; ++g) {
    problem.groups.push_back({"G" + std::to_string(g), g % 2, {}, 60.0 + 10 * g});
    for (int i = 0; i < 16; ++i) problem.groups.back().ranks.push_back(16 * g + i);
  }
  problem.links = {std::vector(4, std::vector<double>(4, 1e-4)),
                   std::vector(4, std::vector<double>(4, 0)), 0, true};
  problem.batchings[0].in_flight = 64;
  return problem;
}

TEST(Optimize, ManyDevicesAreCountedWhereLayersAreAlike) {
  const Problem problem = hundred_layers();
  const Optimum optimum = optimize(problem, {1e-3, 30, steady_seconds});
  ASSERT_EQ(optimum.status, OptimizeStatus::kFound);
  EXPECT_EQ(broken_rule(problem, optimum.assignment), "");
  EXPECT_LE(optimum.gap(), 1e-3 + 1e-9);
}

TEST(Optimize, ManyDevicesArePricedWhereLayersDiffer) {
  Problem problem = hundred_layers();
  for (size_t i = 0; i < 100; ++i) problem.omega[i][1] = 0.5 + static_cast<double>(i) / 100;
  problem.theta = 0.5;
  const Optimum optimum = optimize(problem, {0.02, 30, steady_seconds});
  ASSERT_EQ(optimum.status, OptimizeStatus::kFound);
  EXPECT_EQ(broken_rule(problem, optimum.assignment), "");
  EXPECT_LE(optimum.gap(), 0.02 + 1e-9);
}

}  // namespace
}  // namespace llmpq
