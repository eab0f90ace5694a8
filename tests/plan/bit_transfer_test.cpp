// The bitwidth transfer by hand, and what every move keeps.
#include "plan/bit_transfer.hpp"

#include <gtest/gtest.h>

#include <map>

#include "base/timer.hpp"
#include "plan/least_omega.hpp"
#include "plan/llm_pq.hpp"
#include "problem_case.hpp"

namespace llmpq {
namespace {

/// Two devices of equal memory, the first twice as fast. A 16-bit layer has the bytes of two 8-bit
/// ones and all layers of a device take equally long.
Problem fast_and_slow() {
  Problem problem;
  problem.layers = 6;
  problem.formats = {"bf16", "w8"};
  problem.layer_bytes = {{2, 1}};
  problem.omega = {{0, 5}, {0, 1}, {0, 1}, {0, 9}, {0, 1}, {0, 1}};
  problem.prefill_tokens = {64};
  problem.decode_sequences = {4};
  problem.kinds = {{"fast", {{{1}, {1}}}, {{{0}, {0}}}, {0}, {0}, {0}, {0}},
                   {"slow", {{{2}, {2}}}, {{{0}, {0}}}, {0}, {0}, {0}, {0}}};
  problem.groups = {{"fast", 0, {0}, 4}, {"slow", 1, {1}, 4}};
  problem.links = {{{0, 0}, {0, 0}}, {{0, 0}, {0, 0}}, 0, false};
  Batching batching;
  batching.in_flight = 2;
  batching.prefill_max = 1;
  batching.kv_bytes_per_layer = {0};
  problem.batchings = {batching};
  return problem;
}

TEST(BitTransfer, OneLayerOfManyBitsBecomesTwo) {
  const Problem problem = fast_and_slow();
  // Fast: two in 16 bit (2 s); slow: four in 8 bit (8 s). Memory is full on both.
  const Assignment start{0, {{0, 0, 2, {0, 0}}, {1, 2, 6, {1, 1, 1, 1}}}};
  ASSERT_EQ(broken_rule(problem, start), "");
  const Transferred result = transfer_bits(problem, start);
  // One more on the fast one: 16, 8, 8 and 16, 8, 8; then 8, 8, 8, 8 and 16, 16.
  EXPECT_EQ(result.moves, 2);
  ASSERT_EQ(result.assignment.stages[0].end, 4);
  EXPECT_EQ(result.assignment.stages[0].formats, (std::vector{1, 1, 1, 1}));
  EXPECT_EQ(result.assignment.stages[1].formats, (std::vector{0, 0}));
  EXPECT_EQ(evaluate(problem, result.assignment).time_s, 4);
}

TEST(BitTransfer, TheLayersThatSufferMostKeepTheirBits) {
  Problem problem = fast_and_slow();
  problem.theta = 0.35;  // the second move saves 2 s and costs 8 of omega
  const Assignment start{0, {{0, 0, 2, {0, 0}}, {1, 2, 6, {1, 1, 1, 1}}}};
  const Transferred result = transfer_bits(problem, start);
  EXPECT_EQ(result.moves, 1);
  EXPECT_EQ(result.assignment.stages[0].formats, (std::vector{0, 1, 1}));
  EXPECT_EQ(result.assignment.stages[1].formats, (std::vector{0, 1, 1}));
}

TEST(BitTransfer, EveryFormatKeepsItsNumberOfLayersAndNothingGetsWorse) {
  int moved = 0;
  for (int seed = 70000; seed < 72000; ++seed) {
    Problem problem = llm_pq_problem(ProblemMaker(static_cast<uint64_t>(seed)).make()).problem;
    if (problem.batchings.empty()) continue;
    problem.batchings.resize(1);
    const Optimum least = least_omega(problem, {0, 30, steady_seconds});
    if (least.status != OptimizeStatus::kFound) continue;
    const Assignment& start = least.assignment;
    if (!broken_rule(problem, start).empty()) continue;
    const Transferred result = transfer_bits(problem, start);
    ASSERT_EQ(broken_rule(problem, result.assignment), "") << "seed " << seed;
    std::map<int, int> before, after;
    for (const int format : formats_of_layers(problem, start)) ++before[format];
    for (const int format : formats_of_layers(problem, result.assignment)) ++after[format];
    ASSERT_EQ(before, after) << "seed " << seed;
    const double gain =
        evaluate(problem, start).objective - evaluate(problem, result.assignment).objective;
    ASSERT_EQ(gain > 0, result.moves > 0) << "seed " << seed;
    moved += result.moves > 0;
  }
  EXPECT_GT(moved, 20);
}

}  // namespace
}  // namespace llmpq
