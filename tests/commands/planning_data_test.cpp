#include "commands/planning_data.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace llmpq {
namespace {

WorkloadLengths lengths_of(int64_t rows, std::vector<RowLength> seen) {
  WorkloadLengths lengths;
  lengths.rows = rows;
  lengths.seen = std::move(seen);
  return lengths;
}

TEST(PlanningData, OutputsAsTheyAreExpected) {
  Job job;
  const auto lengths = lengths_of(2, {{10, 9, false}, {20, 9, true}});
  auto sequences = sequence_lengths(job, lengths);
  ASSERT_EQ(sequences.size(), 2u);
  EXPECT_EQ(sequences[0].output, 5) << "half of it";
  EXPECT_EQ(sequences[0].most_output, 9);
  EXPECT_EQ(sequences[1].output, 9) << "the ending token is ignored";
  EXPECT_EQ(sequences[1].prompt, 20);
  job.expected_output_tokens = 7;
  EXPECT_EQ(sequence_lengths(job, lengths)[0].output, 7);
  job.expected_output_tokens = 70;
  EXPECT_EQ(sequence_lengths(job, lengths)[0].output, 9);
}

TEST(PlanningData, ASampleStandsForAllRowsAndSamples) {
  Job job;
  job.num_samples = 3;
  int64_t sum = 0;
  for (const auto& each : sequence_lengths(job, lengths_of(10, std::vector<RowLength>(4, {5, 4}))))
    sum += each.count;
  EXPECT_EQ(sum, 30);
}

TEST(PlanningData, MeasuringHasToPay) {
  Job job;
  EXPECT_EQ(profile_budget(job, 3600), 30);
  EXPECT_EQ(profile_budget(job, 100), 2);
  EXPECT_EQ(profile_budget(job, 5), 0);
  job.emulate = {"none", "memory=2GiB"};
  EXPECT_EQ(profile_budget(job, 5), 0);
  job.emulate = {"none", "slowdown=3"};
  EXPECT_EQ(profile_budget(job, 5), 2) << "speeds are what the job is about";
  job.emulate.clear();
  job.strategy = Strategy::kUniform;
  EXPECT_EQ(profile_budget(job, 5), 0);
  job.strategy = Strategy::kPipeEdge;
  EXPECT_EQ(profile_budget(job, 5), 2) << "it knows nothing but times";
  job.profile_seconds = 7;
  EXPECT_EQ(profile_budget(job, 5), 7);
}

/// 565 prompt tokens/s of a model of 1.1 billion weights on two threads, by the README.
TEST(PlanningData, RunsAreGuessedFromWeightsAndThreads) {
  ModelConfig config;
  config.layers = 22;
  config.hidden = 2048;
  config.ffn = 5632;
  config.heads = 32;
  config.kv_heads = 4;
  config.head_dim = 64;
  config.gated = true;
  config.vocab = 32000;
  std::vector<RankReport> ranks(1);
  ranks[0].threads = 2;
  const double seconds = guessed_seconds(config, ranks, {{565, 1, 100, 0}});
  EXPECT_GT(seconds, 100. / 4);
  EXPECT_LT(seconds, 100. * 10);
  ranks.resize(2);
  ranks[1].threads = 2;
  EXPECT_DOUBLE_EQ(guessed_seconds(config, ranks, {{565, 1, 100, 0}}), seconds / 2);
  ranks[0].backend = BackendKind::kCuda;
  EXPECT_LT(guessed_seconds(config, ranks, {{565, 1, 100, 0}}), seconds / 50);
}

}  // namespace
}  // namespace llmpq
