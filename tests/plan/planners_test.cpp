// Every planner on random small problems: rules kept, none below the optimizer's proof, and what
// each promises beyond; small problems by hand.
#include "plan/planners.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/timer.hpp"
#include "plan/llm_pq.hpp"
#include "problem_case.hpp"

namespace llmpq {
namespace {

using testing::HasSubstr;

OptimizeOptions exactly() { return {0, 30, steady_seconds}; }

Planned planned(Planner planner, const Problem& problem) {
  return plan_by(planner, problem, exactly());
}

std::set<int> formats_in(const Planned& plan) {
  std::set<int> formats;
  for (const AssignedStage& stage : plan.assignment.stages)
    formats.insert(stage.formats.begin(), stage.formats.end());
  return formats;
}

class EveryPlanner : public testing::TestWithParam<Planner> {};

TEST_P(EveryPlanner, KeepsTheRulesAndTheProof) {
  int found = 0, worse = 0;
  for (int seed = 50000; seed < 50300; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    const Planned joint = planned(Planner::kJoint, problem);
    const Planned plan = planned(GetParam(), problem);
    ASSERT_FALSE(plan.note.empty()) << "seed " << seed;
    ASSERT_TRUE(joint.found || !plan.found) << "seed " << seed;
    if (!plan.found) continue;
    ++found;
    ASSERT_EQ(broken_rule(problem, plan.assignment), "") << "seed " << seed;
    ASSERT_EQ(plan.score.objective, evaluate(problem, plan.assignment).objective);
    ASSERT_GE(plan.score.objective, *joint.lower_bound * (1 - 1e-9)) << "seed " << seed;
    worse += plan.score.objective > joint.score.objective * (1 + 1e-6);
  }
  EXPECT_GT(found, 30);
  EXPECT_EQ(worse > 10, GetParam() != Planner::kJoint);
}

INSTANTIATE_TEST_SUITE_P(All, EveryPlanner, testing::ValuesIn(kPlanners), [](const auto& info) {
  std::string text(name(info.param));
  std::erase(text, '-');
  return text;
});

/// Eight layers; a device that decodes three times as fast as the other, which prefills as fast.
Problem two_devices() {
  Problem problem;
  problem.name = "two";
  problem.layers = 8;
  problem.formats = {"w4", "w8"};  // not in the order of their sizes
  problem.layer_bytes = {{5, 10}};
  problem.omega.assign(8, {1, 0});
  problem.prefill_tokens = {64};
  problem.decode_sequences = {4};
  problem.kinds = {{"fast", {{{1}, {1}}}, {{{0.1}, {0.1}}}, {0}, {0}, {0}, {0}},
                   {"slow", {{{1}, {1}}}, {{{0.3}, {0.3}}}, {0}, {0}, {0}, {0}}};
  problem.groups = {{"slow", 1, {0}, 60}, {"fast", 0, {1}, 60}};
  problem.links = {{{0, 0}, {0, 0}}, {{0, 0}, {0, 0}}, 0, false};
  Batching batching;
  batching.in_flight = 2;
  batching.prefill_sum = 1;
  batching.prefill_max = 9;
  batching.decode_sum = 1;
  batching.decode_max = 1;
  batching.rounds = 10;
  batching.kv_bytes_per_layer = {0};
  problem.batchings = {batching};
  return problem;
}

TEST(Planners, UniformCutsInTheOrderOfRanks) {
  const Planned plan = planned(Planner::kUniform, two_devices());
  ASSERT_TRUE(plan.found);
  ASSERT_EQ(plan.assignment.stages.size(), 2u);
  EXPECT_EQ(plan.assignment.stages[0].rank, 0);
  EXPECT_EQ(plan.assignment.stages[0].end, 4);
  EXPECT_EQ(formats_in(plan), std::set{1});
  // SP 8, TP 4, SD 1.6, TD 1.2: 8 + 9 x 4 + 1.6 + 1.2 + 10 max(2.4, 1.6).
  EXPECT_NEAR(plan.score.time_s, 8 + 36 + 1.6 + 1.2 + 24, 1e-12);
  EXPECT_EQ(plan.note, "w8 for all layers");
}

/// Layers for which only one format has kernels, as --format with a list makes them.
TEST(Planners, FormatsThatAreGivenForEachLayerAreKept) {
  Problem problem = two_devices();
  problem.layer_class = {0, 0, 1, 1, 1, 0, 0, 1};  // w8 and w4
  problem.layer_bytes.push_back(problem.layer_bytes[0]);
  problem.batchings[0].kv_bytes_per_layer.push_back(0);
  const double none = std::nan("");
  for (ProblemKind& kind : problem.kinds)
    for (LayerSeconds* seconds : {&kind.prefill_s, &kind.decode_s}) {
      seconds->push_back(seconds->at(0));
      seconds->at(0)[0] = {none};
      seconds->at(1)[1] = {none};
    }
  for (const Planner planner : kPlanners) {
    const Planned plan = planned(planner, problem);
    ASSERT_TRUE(plan.found) << name(planner) << ": " << plan.note;
    EXPECT_EQ(formats_of_layers(problem, plan.assignment),
              (std::vector<int>{1, 1, 0, 0, 0, 1, 1, 0}))
        << name(planner);
  }
  EXPECT_EQ(planned(Planner::kPipeEdge, problem).note, "the formats asked for");
}

TEST(Planners, UniformTakesFewerBitsAndTheBestBatchingThatFits) {
  Problem problem = two_devices();
  problem.batchings.push_back(problem.batchings[0]);
  problem.batchings[1].prefill_max = 3;
  problem.batchings.push_back(problem.batchings[0]);
  problem.batchings[2].prefill_max = 1;
  problem.batchings[2].workspace_bytes = 100;
  EXPECT_EQ(planned(Planner::kUniform, problem).assignment.batching, 1);
  for (ProblemGroup& group : problem.groups) group.memory_bytes = 39;
  EXPECT_EQ(formats_in(planned(Planner::kUniform, problem)), std::set{0});
  problem.max_omega = 7;
  const Planned none = planned(Planner::kUniform, problem);
  EXPECT_FALSE(none.found);
  EXPECT_EQ(none.note, "equal stages keep the rules in no format");
}

TEST(Planners, PipeEdgeSeesDecodeAlone) {
  // Six layers on the fast one take 0.6 s a step, two on the slow one as much.
  const Planned plan = planned(Planner::kPipeEdge, two_devices());
  ASSERT_TRUE(plan.found);
  ASSERT_EQ(plan.assignment.stages.size(), 2u);
  for (const AssignedStage& stage : plan.assignment.stages)
    EXPECT_EQ(stage.end - stage.begin, stage.rank == 1 ? 6 : 2);
  // The optimizer sees that prefill would be better balanced: with five, 5 + 9 x 5 ... is less.
  EXPECT_LT(planned(Planner::kJoint, two_devices()).score.time_s, plan.score.time_s);
}

TEST(Planners, PipeEdgeKeepsMemoryAndLinksInMind) {
  Problem problem = two_devices();
  problem.groups[1].memory_bytes = 45;  // four layers
  Planned plan = planned(Planner::kPipeEdge, problem);
  ASSERT_TRUE(plan.found);
  EXPECT_EQ(formats_in(plan), std::set{1});
  for (const AssignedStage& stage : plan.assignment.stages) EXPECT_EQ(stage.end - stage.begin, 4);
  // A link slower than all layers on one device: that device takes all of them.
  problem = two_devices();
  problem.groups[1].memory_bytes = 80;
  problem.links.latency_s = {{5, 5}, {5, 5}};
  plan = planned(Planner::kPipeEdge, problem);
  ASSERT_TRUE(plan.found);
  ASSERT_EQ(plan.assignment.stages.size(), 1u);
  EXPECT_EQ(plan.assignment.stages[0].rank, 1);
}

TEST(Planners, AdaBitsKeepsTheLayersThatSufferMost) {
  Problem problem = two_devices();
  problem.omega = {{9, 0}, {1, 0}, {1, 0}, {9, 0}, {9, 0}, {1, 0}, {1, 0}, {1, 0}};
  for (ProblemGroup& group : problem.groups) group.memory_bytes = 30;
  // 60 bytes: four w8 and four w4. The three that matter are among the four.
  const Planned plan = planned(Planner::kAdaBits, problem);
  ASSERT_TRUE(plan.found);
  EXPECT_NEAR(plan.score.omega, 4, 1e-12);
}

TEST(Planners, AdaBitsTakesBitsThatFitHoweverSlow) {
  Problem problem = two_devices();
  for (ProblemKind& kind : problem.kinds) kind.decode_s[0][1] = {10};
  EXPECT_EQ(formats_in(planned(Planner::kAdaBits, problem)), std::set{1});
  EXPECT_EQ(formats_in(planned(Planner::kJoint, problem)), std::set{0});
}

TEST(LlmPq, ItsObjective) {
  Problem problem = two_devices();
  problem.batchings.push_back(problem.batchings[0]);
  problem.batchings[1].in_flight = 4;  // more lanes than devices
  problem.batchings.push_back(problem.batchings[0]);
  problem.batchings[2].mix = Mix::kInterleaved;
  LlmPqProblem original = llm_pq_problem(problem);
  ASSERT_EQ(original.batching, std::vector{0});
  // (mu_d - 1)(mu_n - 1) with two lanes and 11 tokens after the first.
  EXPECT_EQ(original.problem.batchings[0].decode_max, 11);
  EXPECT_EQ(original.problem.batchings[0].rounds, 0);
  problem.batchings = {problem.batchings[0], problem.batchings[0]};
  problem.batchings[0].in_flight = 1;
  problem.batchings[1].in_flight = 3;
  original = llm_pq_problem(problem);
  ASSERT_EQ(original.batching, std::vector{0});
  EXPECT_EQ(original.problem.batchings[0].decode_max, 10);  // each step counts
  problem.batchings.resize(1);
  problem.batchings[0].mix = Mix::kMixed;
  EXPECT_TRUE(llm_pq_problem(problem).batching.empty());
  for (const Planner planner : {Planner::kLlmPq, Planner::kLlmPqTransfer})
    EXPECT_THAT(planned(planner, problem).note, HasSubstr("no batching is separated"));
}

TEST(LlmPq, TheSolvedObjectiveIsNotAboveTheTransferred) {
  int both = 0, above = 0;
  for (int seed = 51000; seed < 51400; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    const LlmPqProblem original = llm_pq_problem(problem);
    const Planned solved = planned(Planner::kLlmPq, problem);
    const Planned moved = planned(Planner::kLlmPqTransfer, problem);
    ASSERT_EQ(solved.found, moved.found) << "seed " << seed;
    if (!solved.found) continue;
    const auto theirs = [&](Assignment assignment) {
      const auto at =
          std::find(original.batching.begin(), original.batching.end(), assignment.batching);
      assignment.batching = static_cast<int>(at - original.batching.begin());
      return evaluate(original.problem, assignment).objective;
    };
    ASSERT_LE(theirs(solved.assignment), theirs(moved.assignment) * (1 + 1e-9)) << "seed " << seed;
    ++both;
    above += theirs(solved.assignment) < theirs(moved.assignment) * (1 - 1e-6);
  }
  EXPECT_GT(both, 50);
  EXPECT_GT(above, 5);
}

TEST(Planners, WithoutTimeTheNoteSaysSo) {
  const OptimizeOptions now{0, 0, steady_seconds};
  for (const Planner planner : {Planner::kAdaBits, Planner::kLlmPq, Planner::kLlmPqTransfer}) {
    const Planned plan = plan_by(planner, two_devices(), now);
    EXPECT_FALSE(plan.found);
    EXPECT_THAT(plan.note, HasSubstr("in time"));
  }
}

}  // namespace
}  // namespace llmpq
