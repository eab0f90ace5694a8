// The rules of an assignment, each with its sentence, and the formulas of the three mixes by hand.
#include "plan/evaluate.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "plan_fixture.hpp"

namespace llmpq {
namespace {

/// Three layers, two formats, two devices of one kind and a slower one; powers of two throughout.
Problem three_layers() {
  Problem problem;
  problem.layers = 3;
  problem.formats = {"w8", "w4"};
  problem.layer_bytes = {{16, 8}};
  problem.omega.assign(3, {0, 0.5});
  problem.theta = 4;
  problem.max_omega = 1;
  problem.prefill_tokens = {64};
  problem.decode_sequences = {8};
  problem.kinds = {{"fast", {{{1}, {2}}}, {{{0.5}, {0.25}}}, {0.125}, {0.25}, {0.125}, {0.125}},
                   {"slow", {{{2}, {std::nan("")}}}, {{{1}, {1}}}, {0}, {0}, {0}, {0}}};
  problem.groups = {{"F", 0, {0, 1}, 40}, {"S", 1, {2}, 40}};
  problem.links = {{{0, 8}, {8, 0}}, {{0, 0}, {0, 0}}, 2, true};
  Batching batching;
  batching.in_flight = 2;
  batching.prefill_sum = 1;
  batching.prefill_max = 8;
  batching.decode_sum = 2;
  batching.decode_max = 4;
  batching.rounds = 16;
  batching.chunk_rounds = 4;
  batching.kv_bytes_per_layer = {1};
  problem.batchings.assign(3, batching);
  problem.batchings[1].mix = Mix::kInterleaved;
  problem.batchings[2].mix = Mix::kMixed;
  problem.batchings[2].prefill_max = 0;
  return problem;
}

TEST(Evaluate, TheFormulasByHand) {
  const Problem problem = three_layers();
  Assignment assignment{0, {{0, 0, 2, {0, 1}}, {1, 2, 3, {0}}}};
  // p: 0.125 + 1 + 2 and 1 + 0.25; d: 0.125 + 0.5 + 0.25 and 0.5 + 0.125; the link is free.
  const double sp = 4.375, sd = 1.5, tp = 3.125, td = 0.875;
  Score score = evaluate(problem, assignment);
  EXPECT_EQ(score.time_s, sp + 2 * sd + 8 * tp + 4 * td + 16 * (2 * td));
  EXPECT_EQ(score.omega, 0.5);
  EXPECT_EQ(score.objective, score.time_s + 2);
  EXPECT_EQ(score.stages[0].bytes, 26);
  assignment.batching = 1;
  EXPECT_EQ(evaluate(problem, assignment).time_s, sp + 2 * sd + 8 * tp + 36 * td);
  assignment.batching = 2;  // load 36 x 0.875 = 31.5, queue 4 x 4.375 + 12 x 1.5 = 35.5
  EXPECT_EQ(evaluate(problem, assignment).time_s, sp + 2 * sd + 4 * sp + 12 * sd);
}

TEST(Evaluate, ALinkIsAStageOfItsOwn) {
  Problem problem = three_layers();
  const Assignment assignment{0, {{0, 0, 2, {0, 0}}, {2, 2, 3, {0}}}};
  const double sp = 2.125 + 2 + 8, sd = 1.125 + 1 + 8;
  EXPECT_EQ(evaluate(problem, assignment).time_s,
            sp + 2 * sd + 8 * 8 + 4 * 8 + 16 * std::max(2 * 8.0, sd));
  problem.links.in_sum = false;
  EXPECT_EQ(evaluate(problem, assignment).time_s, 4.125 + 2 * 2.125 + 8 * 8 + 4 * 8 + 16 * 2 * 8);
}

TEST(Evaluate, EveryBrokenRuleHasItsSentence) {
  const Problem problem = three_layers();
  const auto broken = [&](const Assignment& assignment, const Problem& of) {
    return broken_rule(of, assignment);
  };
  EXPECT_EQ(broken({0, {{0, 0, 2, {0, 1}}, {1, 2, 3, {0}}}}, problem), "");
  EXPECT_HAS(broken({3, {{0, 0, 3, {0, 0, 0}}}}, problem), "batching 3 does not exist");
  EXPECT_HAS(broken({0, {}}, problem), "there are no stages");
  EXPECT_HAS(broken({0, {{0, 1, 3, {0, 0}}}}, problem), "layers [1, 3) do not follow layer 0");
  EXPECT_HAS(broken({0, {{0, 0, 2, {0, 0}}}}, problem), "layers end at 2, the model has 3");
  EXPECT_HAS(broken({0, {{9, 0, 3, {0, 0, 0}}}}, problem), "rank 9 is not in the problem");
  EXPECT_HAS(broken({0, {{0, 0, 3, {0, 0}}}}, problem), "2 formats for 3 layers");
  EXPECT_HAS(broken({0, {{0, 0, 3, {0, 0, 5}}}}, problem), "there is no format 5");
  EXPECT_HAS(broken({0, {{2, 0, 3, {0, 0, 1}}}}, problem), "layer 2: slow has no kernel for w4");
  EXPECT_HAS(broken({0, {{0, 0, 1, {0}}, {0, 1, 3, {0, 0}}}}, problem), "rank 0 has two stages");
  EXPECT_HAS(broken({0, {{0, 0, 3, {0, 0, 0}}}}, problem), "rank 0 needs 51 bytes of 40");
  EXPECT_HAS(broken({0, {{0, 0, 3, {1, 1, 1}}}}, problem), "omega 1.5 exceeds the bound 1");
  Problem ordered = problem;
  ordered.order = {1, 0};
  EXPECT_HAS(broken({0, {{0, 0, 1, {0}}, {1, 1, 3, {0, 0}}}}, ordered),
             "ranks are not in the fixed order");
  EXPECT_EQ(broken({0, {{1, 0, 1, {0}}, {0, 1, 3, {0, 0}}}}, ordered), "");
}

}  // namespace
}  // namespace llmpq
