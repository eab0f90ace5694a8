// The simulator against closed forms, and what must hold whatever the times are.
#include "schedule/simulate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// A stage that takes so long for each step that prefills, and for each that decodes.
StageSeconds fixed(double prefill_s, double decode_s) {
  return [=](const StepShape& s) { return s.prefill_rows > 0 ? prefill_s : decode_s; };
}

/// Equal stages with free links; one prompt of the rows below is one chunk.
SimulationSetup pipeline(int32_t stages, double prefill_s, double decode_s) {
  SimulationSetup setup;
  setup.scheduler = {.mix = Mix::kSeparated,
                     .stages = stages,
                     .prefill_tokens = 32,
                     .decode_batch = 4,
                     .lanes = stages,
                     .chunks_in_flight = 1000,
                     .kv_blocks = 10000,
                     .kv_block_tokens = 16};
  setup.stages.assign(static_cast<size_t>(stages), fixed(prefill_s, decode_s));
  setup.links.resize(static_cast<size_t>(stages - 1));
  return setup;
}

std::vector<SimulatedRow> equal_rows(size_t count, int64_t max_tokens) {
  return std::vector<SimulatedRow>(count, {32, max_tokens, 0, 0});
}

/// Every row done once with all its tokens, no stage busy for longer than the run.
void expect_whole(const SimulationSetup& setup, const std::vector<SimulatedRow>& rows,
                  const SimulationResult& result) {
  int64_t output = 0;
  for (const SimulatedRow& row : rows)
    output += row.output_tokens > 0 ? row.output_tokens : row.max_tokens;
  EXPECT_EQ(result.rows, static_cast<int64_t>(rows.size()));
  EXPECT_EQ(result.failed_rows, 0);
  EXPECT_EQ(result.output_tokens, output);
  EXPECT_DOUBLE_EQ(result.seconds,
                   *std::max_element(result.finish_s.begin(), result.finish_s.end()));
  EXPECT_DOUBLE_EQ(result.first_row_s,
                   *std::min_element(result.finish_s.begin(), result.finish_s.end()));
  EXPECT_GE(result.first_row_s, 0);
  ASSERT_EQ(result.stages.size(), setup.stages.size());
  for (const SimulatedStage& stage : result.stages)
    EXPECT_NEAR(stage.busy_s.sum() + stage.idle_s, result.seconds, 1e-9 * result.seconds);
  EXPECT_LE(result.most_kv_blocks, setup.scheduler.kv_blocks);
}

SimulationResult run(const SimulationSetup& setup, const std::vector<SimulatedRow>& rows) {
  SimulationResult result = simulate(setup, rows);
  expect_whole(setup, rows, result);
  return result;
}

TEST(Simulate, PrefillAloneFillsAndThenGivesAChunkEachTime) {
  for (int32_t stages : {1, 2, 5}) {
    const auto result = run(pipeline(stages, 3, 1e9), equal_rows(20, 1));
    EXPECT_DOUBLE_EQ(result.seconds, 3.0 * (stages + 20 - 1));
    EXPECT_DOUBLE_EQ(result.first_row_s, 3.0 * stages);
    EXPECT_EQ(result.steps.prefill, 20);
    EXPECT_EQ(result.steps.sum(), 20);
    EXPECT_EQ(result.prefill_rows, 20 * 32);
    EXPECT_EQ(result.prompt_tokens, 20 * 32);
    EXPECT_DOUBLE_EQ(result.stages[0].busy_s.prefill, 60);
    EXPECT_DOUBLE_EQ(result.stages[0].idle_s, 3.0 * (stages - 1));
    EXPECT_DOUBLE_EQ(result.output_tokens_per_s(), 20 / result.seconds);
    EXPECT_DOUBLE_EQ(result.prompt_tokens_per_s(), 640 / result.seconds);
  }
}

TEST(Simulate, DecodeTakesTheLongerOfLanesAndStagesEachRound) {
  for (int32_t stages : {1, 2, 4})
    for (int32_t lanes : {1, 2, 4, 7}) {
      SimulationSetup setup = pipeline(stages, 0, 2);
      setup.scheduler.lanes = lanes;
      const int32_t rounds = 9;
      const auto result = run(setup, equal_rows(static_cast<size_t>(4 * lanes), rounds + 1));
      const double steps = (rounds - 1) * std::max(lanes, stages) + lanes - 1 + stages;
      EXPECT_DOUBLE_EQ(result.seconds, 2 * steps) << stages << " stages, " << lanes << " lanes";
      EXPECT_EQ(result.steps.decode, rounds * lanes);
      EXPECT_EQ(result.decode_rows, 4 * lanes * rounds);
    }
}

/// LLM-PQ's formula: the slowest stage of each phase counts, whoever it is.
TEST(Simulate, SeparatedPaysTheSlowestStageOfEachPhase) {
  SimulationSetup setup = pipeline(3, 0, 0);
  setup.stages = {fixed(1, 6), fixed(5, 2), fixed(3, 4)};
  setup.scheduler.lanes = 4;
  const auto result = run(setup, equal_rows(16, 11));
  const double prefill_s = (1 + 5 + 3) + 15 * 5, decode_s = (6 + 2 + 4) + (10 * 4 - 1) * 6;
  EXPECT_DOUBLE_EQ(result.seconds, prefill_s + decode_s);
  EXPECT_DOUBLE_EQ(result.stages[1].busy_s.prefill, 16 * 5);
  EXPECT_DOUBLE_EQ(result.stages[1].busy_s.decode, 10 * 4 * 2);
}

TEST(Simulate, AFullCacheMakesWaves) {
  SimulationSetup setup = pipeline(1, 5, 2);
  setup.scheduler.kv_blocks = 4 * 3;  // four sequences of 32 + 11 - 1 tokens
  const auto result = run(setup, equal_rows(12, 11));
  EXPECT_DOUBLE_EQ(result.seconds, 3 * (4 * 5 + 10 * 2));
  EXPECT_DOUBLE_EQ(result.first_row_s, 4 * 5 + 10 * 2);
  EXPECT_EQ(result.most_kv_blocks, 12);
}

TEST(Simulate, ASlowLinkIsLikeASlowStage) {
  SimulationSetup setup = pipeline(2, 3, 1e9);
  setup.links[0] = {{1, 0.25}, 2};  // 1 s + 32 rows x 2 bytes x 0.25 s = 17 s
  const auto result = run(setup, equal_rows(10, 1));
  EXPECT_DOUBLE_EQ(result.seconds, 3 + 10 * 17 + 3);
  EXPECT_DOUBLE_EQ(result.link_busy_s[0], 170);
}

TEST(Simulate, AFastLinkCostsOnceBecauseItOverlaps) {
  SimulationSetup setup = pipeline(2, 3, 1e9);
  setup.links[0] = {{2, 0}, 0};
  EXPECT_DOUBLE_EQ(run(setup, equal_rows(10, 1)).seconds, 3 + 2 + 10 * 3);
}

TEST(Simulate, EachRoundPaysTheDriversMessages) {
  SimulationSetup setup = pipeline(1, 3, 2);
  setup.control_s = 0.25;
  setup.result_s = 0.5;
  EXPECT_DOUBLE_EQ(run(setup, equal_rows(1, 5)).seconds, 3 + 4 * 2 + 5 * 0.75);
  // Chunks do not wait for each other's results.
  EXPECT_DOUBLE_EQ(run(setup, equal_rows(10, 1)).seconds, 0.25 + 10 * 3 + 0.5);
}

TEST(Simulate, ContinuousBatchingKeepsTheBatchFull) {
  std::mt19937 random(3);
  SimulationSetup setup = pipeline(1, 0, 1);
  setup.scheduler.mix = Mix::kInterleaved;
  setup.scheduler.decode_batch = 8;
  std::vector<SimulatedRow> rows = equal_rows(400, 60);
  int64_t decoded = 0;
  for (SimulatedRow& row : rows) {
    row.output_tokens = 1 + static_cast<int64_t>(random() % 60);
    decoded += row.output_tokens - 1;
  }
  const auto result = run(setup, rows);
  EXPECT_EQ(result.decode_rows, decoded);
  EXPECT_GE(result.seconds, std::ceil(static_cast<double>(decoded) / 8));
  EXPECT_LE(result.seconds, static_cast<double>(decoded) / 8 * 1.02 + 60);
}

/// Two stages whose strengths lie in different phases: only side by side both always have work.
TEST(Simulate, InterleavedWinsOnAComplementaryPair) {
  SimulationSetup setup = pipeline(2, 0, 0);
  setup.stages = {fixed(1, 4.6), fixed(2.5, 1)};
  setup.scheduler.lanes = 4;
  const auto rows = equal_rows(4000, 9);
  const double separated_s = run(setup, rows).seconds;
  setup.scheduler.mix = Mix::kInterleaved;
  setup.scheduler.chunks_in_flight = 0;
  const double interleaved_s = run(setup, rows).seconds;
  const double decodes = 4000 * 8 / 4;
  EXPECT_NEAR(separated_s, 4000 * 2.5 + decodes * 4.6, 0.02 * separated_s);
  EXPECT_GE(interleaved_s, 4000 * 1 + decodes * 4.6);
  EXPECT_LT(interleaved_s, separated_s / 1.1);
}

TEST(Simulate, ExpectationsThatAreOutlivedLeadToPreemptions) {
  for (Mix mix : {Mix::kSeparated, Mix::kInterleaved, Mix::kMixed}) {
    SimulationSetup setup = pipeline(2, 3, 1);
    setup.scheduler.mix = mix;
    setup.scheduler.kv_blocks = 24;
    auto rows = equal_rows(40, 60);
    EXPECT_EQ(run(setup, rows).preemptions, 0);
    for (SimulatedRow& row : rows) row.expected_tokens = 1;
    const auto result = run(setup, rows);
    EXPECT_GT(result.preemptions, 0) << name(mix);
    EXPECT_GT(result.prefill_rows, result.prompt_tokens) << "prefilled once more";
  }
}

TEST(Simulate, RowsThatCannotRunFailAndTheOthersAreCutToTheContext) {
  SimulationSetup setup = pipeline(1, 1, 1);
  setup.max_model_len = 100;
  setup.scheduler.kv_blocks = 6;  // 96 tokens
  const std::vector<SimulatedRow> rows{
      {100, 5, 0, 0}, {90, 50, 0, 0}, {40, 57, 0, 0}, {40, 58, 0, 0}, {99, 1, 0, 0}};
  const auto result = simulate(setup, rows);
  EXPECT_EQ(result.failed_rows, 4);  // context; 99, 97 and 99 tokens in the cache
  EXPECT_EQ(result.rows, 1);
  EXPECT_EQ(result.output_tokens, 57);
  EXPECT_EQ(result.prompt_tokens, 40);
  EXPECT_EQ(result.finish_s[0], -1);
  EXPECT_EQ(result.finish_s[3], -1);
  EXPECT_EQ(result.finish_s[2], result.seconds);
  setup.scheduler.kv_blocks = 100;
  EXPECT_EQ(simulate(setup, rows).output_tokens, 10 + 57 + 58 + 1);
}

TEST(Simulate, NothingToDoTakesNoTime) {
  const auto result = simulate(pipeline(2, 1, 1), {});
  EXPECT_EQ(result.seconds, 0);
  EXPECT_EQ(result.output_tokens_per_s(), 0);
  EXPECT_EQ(result.steps.sum(), 0);
}

std::vector<SimulatedRow> random_rows(size_t count) {
  std::mt19937 random(7);
  std::vector<SimulatedRow> rows(count);
  for (SimulatedRow& row : rows)
    row = {1 + static_cast<int64_t>(random() % 80), 1 + static_cast<int64_t>(random() % 40), 0, 0};
  return rows;
}

TEST(Simulate, AFasterStageIsNeverLaterWhereStepsStayTheSame) {
  const auto rows = random_rows(100);
  for (size_t faster = 0; faster < 3; ++faster) {
    SimulationSetup setup = pipeline(3, 0, 0);
    setup.scheduler.kv_blocks = 100;
    setup.stages = {fixed(4, 3), fixed(3, 5), fixed(6, 2)};
    double before_s = run(setup, rows).seconds;
    for (double seconds : {2.5, 1.5, 0.5, 0.0}) {
      setup.stages[faster] = fixed(seconds, std::min(2.0, seconds));
      const double after_s = run(setup, rows).seconds;
      EXPECT_LE(after_s, before_s) << "stage " << faster << " at " << seconds;
      before_s = after_s;
    }
  }
}

TEST(Simulate, EventsTellTheSameAsTheSums) {
  for (Mix mix : {Mix::kSeparated, Mix::kInterleaved, Mix::kMixed}) {
    SimulationSetup setup = pipeline(3, 3, 2);
    setup.scheduler.mix = mix;
    setup.links.assign(2, {{0.5, 0.125}, 1});
    const auto rows = random_rows(60);
    const auto silent = run(setup, rows);
    setup.record_events = true;
    const auto result = run(setup, rows);
    EXPECT_TRUE(silent.events.empty());
    EXPECT_EQ(silent.finish_s, result.finish_s) << "the same setup gives the same run";
    ASSERT_EQ(static_cast<int64_t>(result.events.size()), result.steps.sum() * 5);
    std::vector<double> computing_s(3), transfer_s(2), free_s(6);
    std::set<int64_t> steps;
    for (const SimulatedEvent& event : result.events) {
      const auto stage = static_cast<size_t>(event.stage);
      (event.transfer ? transfer_s : computing_s).at(stage) += event.end_s - event.begin_s;
      double& is_free_s = free_s[2 * stage + event.transfer];
      EXPECT_GE(event.begin_s, is_free_s) << "two at once";
      is_free_s = event.end_s;
      steps.insert(event.step);
      EXPECT_EQ(event.lane < 0, event.kind == StepKind::kPrefill);
      EXPECT_GT(event.rows, 0);
    }
    EXPECT_EQ(static_cast<int64_t>(steps.size()), result.steps.sum());
    for (size_t j = 0; j < 3; ++j) EXPECT_NEAR(computing_s[j], result.stages[j].busy_s.sum(), 1e-6);
    for (size_t j = 0; j < 2; ++j) EXPECT_NEAR(transfer_s[j], result.link_busy_s[j], 1e-6);
  }
}

void expect_error(const SimulationSetup& setup, const std::vector<SimulatedRow>& rows,
                  const std::string& sentence) {
  try {
    simulate(setup, rows);
    FAIL() << "no error: " << sentence;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kInternal);
    EXPECT_NE(std::string(error.what()).find(sentence), std::string::npos) << error.what();
  }
}

TEST(Simulate, StagesThatAreAlikeAreAskedOnceAStep) {
  const auto rows = equal_rows(12, 5);
  SimulationSetup setup = pipeline(5, 2, 3);
  setup.stages[1] = fixed(4, 1);
  const SimulationResult plain = simulate(setup, rows);
  int64_t calls = 0;
  for (StageSeconds& seconds : setup.stages)
    seconds = [&calls, seconds](const StepShape& shape) { return ++calls, seconds(shape); };
  setup.like = {0, 1, 0, 0, 4};
  const SimulationResult result = simulate(setup, rows);
  EXPECT_EQ(calls, 3 * result.steps.sum());
  EXPECT_EQ(result.seconds, plain.seconds);
  EXPECT_EQ(result.finish_s, plain.finish_s);
  for (size_t i = 0; i < 5; ++i)
    EXPECT_EQ(result.stages[i].busy_s.sum(), plain.stages[i].busy_s.sum()) << "stage " << i;
}

TEST(Simulate, SetupsThatMakeNoSenseAreRefused) {
  const auto rows = equal_rows(2, 2);
  SimulationSetup setup = pipeline(2, 1, 1);
  setup.links.clear();
  expect_error(setup, rows, "there are 2 and 0");
  setup = pipeline(2, 1, 1);
  setup.stages[1] = fixed(1, std::nan(""));
  expect_error(setup, rows, "stage 1 takes nan s for 0 prefill and 1 decode rows");
  setup.stages[1] = fixed(-1, 1);
  expect_error(setup, rows, "stage 1 takes -1 s for 32 prefill and 0 decode rows");
  setup = pipeline(2, 1, 1);
  setup.links[0].model.s_per_byte = -1;
  setup.links[0].bytes_per_row = 4;
  expect_error(setup, rows, "a link's message of -4 s");
  setup = pipeline(2, 1, 1);
  setup.like = {0};
  expect_error(setup, rows, "2 stages, and of 1 is told which they are like");
  setup = pipeline(2, 1, 1);
  setup.window = 0;
  expect_error(setup, rows, "a window of 0 prompts");
  expect_error(pipeline(2, 1, 1), {{0, 1, 0, 0}}, "row 0 has 0 prompt tokens");
}

}  // namespace
}  // namespace llmpq
