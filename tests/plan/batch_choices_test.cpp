#include "plan/batch_choices.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/expect_error.hpp"
#include "plan/evaluate.hpp"
#include "schedule/simulate.hpp"

namespace llmpq {
namespace {

Work even_work(int64_t sequences, int64_t prompt, int64_t output) {
  const std::vector<SequenceLength> lengths{{prompt, output, sequences}};
  return work_of(lengths, 16);
}

PlanWishes wishes(Mix mix, int32_t chunk, int32_t batch, int32_t lanes) {
  PlanWishes wishes;
  wishes.mix = mix;
  wishes.prefill_tokens = chunk;
  wishes.decode_batch = batch;
  wishes.lanes = lanes;
  return wishes;
}

BatchChoice only_choice(const Work& work, const PlanWishes& wishes) {
  const BatchChoices choices = batch_choices(work, wishes, 4);
  EXPECT_EQ(choices.list.size(), 1u);
  return choices.list.at(0);
}

TEST(Work, IsCounted) {
  const std::vector<SequenceLength> lengths{{10, 7, 3}, {20, 1, 1}};
  const Work work = work_of(lengths, 16);
  EXPECT_EQ(work.sequences, 4);
  EXPECT_EQ(work.prefill_rows, 50);
  EXPECT_EQ(work.decode_rows, 18);
  EXPECT_EQ(work.blocks, 3 * 2 + 2);
  EXPECT_EQ(work.most_blocks, 2);
  EXPECT_EQ(work.longest_sequence, 21);
  const WorkKeys keys = keys_of(lengths, 0);
  EXPECT_EQ(keys.prefill, 3 * 55 + 210);
  EXPECT_EQ(keys.decode, 3 * (11 + 12 + 13 + 14 + 15 + 16));
  // A window of 12: row 12 of the second prompt looks at 12 keys, as all after it.
  const WorkKeys windowed = keys_of(lengths, 12);
  EXPECT_EQ(windowed.prefill, 3 * 55 + 78 + 8 * 12);
  EXPECT_EQ(windowed.decode, 3 * (11 + 5 * 12));
  EXPECT_ERROR(work_of({}, 16), Exit::kUsage, "no sequence");
  const std::vector<SequenceLength> empty{{0, 3, 1}};
  EXPECT_ERROR(work_of(empty, 16), Exit::kUsage, "0 prompt tokens");
}

TEST(BatchChoices, SeparatedIsInWaves) {
  // 96 sequences in 3 waves of 2 x 16; 12 chunks of 256 a wave; 9 decode steps each.
  const BatchChoice choice =
      only_choice(even_work(96, 96, 10), wishes(Mix::kSeparated, 256, 16, 2));
  EXPECT_EQ(choice.row.prefill_sum, 3);
  EXPECT_EQ(choice.row.prefill_max, 36 - 3);
  EXPECT_EQ(choice.row.decode_sum, 3);
  EXPECT_EQ(choice.row.decode_max, 3);
  EXPECT_EQ(choice.row.rounds, 3 * 8);
  EXPECT_EQ(choice.row.in_flight, 2);
  EXPECT_EQ(choice.kv_blocks, 32 * 7);
}

TEST(BatchChoices, OneTokenNeedsNoDecode) {
  const BatchChoice choice = only_choice(even_work(8, 64, 1), wishes(Mix::kSeparated, 64, 4, 2));
  EXPECT_EQ(choice.row.prefill_sum, 1);
  EXPECT_EQ(choice.row.prefill_max, 7);
  EXPECT_EQ(choice.row.decode_sum + choice.row.decode_max + choice.row.rounds, 0);
  for (const BatchChoice& each : batch_choices(even_work(1000, 64, 1), {}, 4).list)
    EXPECT_EQ(each.row.mix, Mix::kSeparated);
}

TEST(BatchChoices, InterleavedCountsAllWork) {
  BatchChoices choices =
      batch_choices(even_work(1024, 128, 33), wishes(Mix::kInterleaved, 256, 16, 4), 4);
  ASSERT_EQ(choices.list.size(), 1u);
  const Batching& row = choices.list[0].row;
  EXPECT_EQ(row.prefill_sum, 1);
  EXPECT_EQ(row.prefill_max, 1024 * 128 / 256);
  EXPECT_EQ(row.rounds, 32 * (16 + 1));  // 16 fillings of 64 places, and one more
  const DecodeColumn& column = choices.decode.at(static_cast<size_t>(row.decode));
  EXPECT_DOUBLE_EQ(column.decode_rows * row.rounds * row.in_flight, 1024 * 32);
  EXPECT_EQ(column.chunk_share, 0);
}

TEST(BatchChoices, LongChunksAndDecodeStepsWaitForEachOther) {
  const BatchChoices before =
      batch_choices(even_work(1024, 128, 33), wishes(Mix::kInterleaved, 256, 16, 4), 4);
  BatchChoices quick = before, slow = before;
  // Short chunks: the lanes' way around takes far longer than the load, nobody waits.
  set_waiting(quick, 4, [](int, int) { return StepPair{0.001, 1.0}; });
  EXPECT_EQ(quick.list[0].row.chunk_rounds, 0);
  EXPECT_NEAR(quick.list[0].row.rounds, 544 * std::pow(2, 1 / 3.5), 1);
  set_waiting(slow, 4, [](int, int) { return StepPair{2.0, 1.0}; });
  const Batching& row = slow.list[0].row;
  const double wait = row.rounds / 544;
  EXPECT_GT(wait, 1);
  EXPECT_LT(wait, 1.2);
  EXPECT_DOUBLE_EQ(row.chunk_rounds, wait * 512);  // less than a chunk a round: each is waited for
  EXPECT_DOUBLE_EQ(row.prefill_max, wait * 512);
  const Batching& unchanged = before.list[0].row;
  EXPECT_EQ(unchanged.rounds, 544);
}

TEST(BatchChoices, ChunksKeepPace) {
  // With 64 tokens a chunk, 8,192 chunks would have to go through in 272 rounds of one lane.
  const BatchChoices choices = batch_choices(even_work(1024, 512, 18), {}, 4);
  int interleaved = 0;
  for (const BatchChoice& choice : choices.list) {
    if (choice.row.mix != Mix::kInterleaved) continue;
    ++interleaved;
    EXPECT_TRUE(choice.sizes.prefill_tokens == 2048 ||
                choice.row.prefill_max / choice.row.rounds <= choice.row.in_flight + 4);
  }
  EXPECT_GT(interleaved, 0);
}

TEST(BatchChoices, MixedStepsAreOfEvenSize) {
  // 8 tokens of prompt for each decode row: a batch of 16 goes with 128 of them.
  PlanWishes wish = wishes(Mix::kMixed, 256, 16, 4);
  wish.prefill_tokens.reset();
  const BatchChoices choices = batch_choices(even_work(1024, 256, 33), wish, 4);
  ASSERT_EQ(choices.list.size(), 1u);
  EXPECT_EQ(choices.list[0].sizes.prefill_tokens, 128);
  const Batching& row = choices.list[0].row;
  EXPECT_EQ(choices.prefill_tokens.at(static_cast<size_t>(row.prefill)), 128);
  EXPECT_EQ(row.prefill_max, 0);
  // 2,048 steps with all chunks and all decode rows, and 128 before to fill 64 places.
  EXPECT_EQ(row.rounds * row.in_flight, 2048 + 128);
  const DecodeColumn& column = choices.decode.at(static_cast<size_t>(row.decode));
  EXPECT_EQ(column.decode_batch, 16);
  EXPECT_DOUBLE_EQ(column.decode_rows * 2176, 1024 * 32);
  EXPECT_EQ(column.chunk_rows, 128);
  EXPECT_DOUBLE_EQ(column.chunk_share * 2176, 2048);
}

TEST(BatchChoices, CoverWhatMatters) {
  const BatchChoices choices = batch_choices(even_work(10000, 512, 100), {}, 4);
  const std::vector<int64_t> usual{64, 128, 256, 512, 1024, 2048};
  ASSERT_GE(choices.prefill_tokens.size(), usual.size());
  EXPECT_TRUE(std::equal(usual.begin(), usual.end(), choices.prefill_tokens.begin()));
  int mixes[3] = {};
  double most_lanes = 0;
  for (const BatchChoice& choice : choices.list) {
    ++mixes[static_cast<int>(choice.row.mix)];
    most_lanes = std::max(most_lanes, choice.row.in_flight);
    EXPECT_EQ(choice.sizes.prefill_tokens,
              choices.prefill_tokens.at(static_cast<size_t>(choice.row.prefill)));
    const DecodeColumn& column = choices.decode.at(static_cast<size_t>(choice.row.decode));
    EXPECT_EQ(choice.sizes.decode_batch, column.decode_batch);
    EXPECT_EQ(column.chunk_share > 0, choice.row.mix == Mix::kMixed);
  }
  EXPECT_EQ(most_lanes, 8);
  for (int count : mixes) EXPECT_GT(count, 50);
  EXPECT_LT(choices.list.size(), 3000u);
}

TEST(BatchChoices, FewSequencesAreCutEvenly) {
  const BatchChoices choices = batch_choices(even_work(32, 512, 100), {}, 6);
  const bool six_lanes_of_six =
      std::any_of(choices.list.begin(), choices.list.end(), [](const BatchChoice& choice) {
        return choice.sizes.lanes == 6 && choice.sizes.decode_batch == 6;
      });
  EXPECT_TRUE(six_lanes_of_six);
  for (const BatchChoice& choice : choices.list)
    EXPECT_LT(choice.sizes.lanes * choice.sizes.decode_batch, 32 + choice.sizes.decode_batch);
}

/// A pipeline of two stages, whose layers' seconds depend on the kind of step alone: a mixed step
/// takes the sum.
struct Pair {
  double prefill_s[2], decode_s[2];
};

double step_s(const Pair& pair, int stage, double chunk_share, bool has_decode) {
  return chunk_share * pair.prefill_s[stage] + (has_decode ? pair.decode_s[stage] : 0);
}

double formula_s(const BatchChoices& choices, const Pair& pair) {
  Problem problem;
  problem.layers = 2;
  problem.formats = {"bf16"};
  problem.layer_bytes = {{0}};
  problem.omega = {{0}, {0}};
  const size_t chunks = choices.prefill_tokens.size(), columns = choices.decode.size();
  for (int i = 0; i < 2; ++i) {
    ProblemKind kind;
    kind.prefill_s = {{std::vector<double>(chunks, pair.prefill_s[i])}};
    kind.decode_s = {{{}}};
    for (const DecodeColumn& column : choices.decode)
      kind.decode_s[0][0].push_back(step_s(pair, i, column.chunk_share, true));
    kind.embed_prefill_s = kind.head_prefill_s = std::vector<double>(chunks, 0);
    kind.embed_decode_s = kind.head_decode_s = std::vector<double>(columns, 0);
    problem.kinds.push_back(kind);
    problem.groups.push_back({"g", i, {i}, 1});
  }
  problem.links.latency_s = problem.links.s_per_byte = {{0, 0}, {0, 0}};
  problem.prefill_tokens = choices.prefill_tokens;
  for (const DecodeColumn& column : choices.decode)
    problem.decode_sequences.push_back(column.decode_batch);
  for (const BatchChoice& choice : choices.list) {
    problem.batchings.push_back(choice.row);
    problem.batchings.back().kv_bytes_per_layer = {0};
  }
  return evaluate(problem, {0, {{0, 0, 1, {0}}, {1, 1, 2, {0}}}}).time_s;
}

double simulated_s(const BatchChoice& choice, const Pair& pair, int64_t sequences, int64_t prompt,
                   int64_t output) {
  SimulationSetup setup;
  setup.scheduler.mix = choice.sizes.mix;
  setup.scheduler.stages = 2;
  setup.scheduler.prefill_tokens = choice.sizes.prefill_tokens;
  setup.scheduler.decode_batch = choice.sizes.decode_batch;
  setup.scheduler.lanes = choice.sizes.lanes;
  setup.scheduler.kv_blocks = static_cast<int32_t>(choice.kv_blocks);
  for (int i = 0; i < 2; ++i)
    setup.stages.push_back([pair, i](const StepShape& shape) {
      return step_s(pair, i, shape.prefill_rows > 0 ? 1 : 0, shape.decode_rows > 0);
    });
  setup.links.resize(1);
  SimulatedRow row;
  row.prompt_tokens = prompt;
  row.max_tokens = row.output_tokens = row.expected_tokens = output;
  const std::vector<SimulatedRow> rows(static_cast<size_t>(sequences), row);
  return simulate(setup, rows).seconds;
}

/// What the formula promises against the real scheduler in simulation.
void expect_promise_kept(Mix mix, const Pair& pair, int32_t lanes, double tolerance) {
  constexpr int64_t kSequences = 1024, kPrompt = 128, kOutput = 33;
  BatchChoices choices = batch_choices(even_work(kSequences, kPrompt, kOutput),
                                       wishes(mix, mix == Mix::kMixed ? 64 : 256, 16, lanes), 2);
  ASSERT_EQ(choices.list.size(), 1u);
  set_waiting(choices, 2, [&](int, int) {
    return StepPair{(pair.prefill_s[0] + pair.prefill_s[1]) / 2,
                    (pair.decode_s[0] + pair.decode_s[1]) / 2};
  });
  const double formula = formula_s(choices, pair);
  const double simulated = simulated_s(choices.list[0], pair, kSequences, kPrompt, kOutput);
  EXPECT_NEAR(formula / simulated, 1, tolerance)
      << name(mix) << ", " << lanes << " lanes: " << formula << " s, simulated " << simulated;
}

TEST(BatchChoices, SeparatedKeepsItsPromise) {
  for (int32_t lanes : {1, 2, 4}) {
    expect_promise_kept(Mix::kSeparated, {{0.02, 0.02}, {0.01, 0.01}}, lanes, 0.01);
    expect_promise_kept(Mix::kSeparated, {{0.02, 0.05}, {0.03, 0.01}}, lanes, 0.01);
  }
}

TEST(BatchChoices, MixedKeepsItsPromise) {
  for (int32_t lanes : {2, 3, 4}) {
    expect_promise_kept(Mix::kMixed, {{0.01, 0.01}, {0.01, 0.01}}, lanes, 0.1);
    expect_promise_kept(Mix::kMixed, {{0.02, 0.04}, {0.02, 0.01}}, lanes, 0.1);
  }
}

TEST(BatchChoices, InterleavedKeepsItsPromise) {
  for (int32_t lanes : {2, 3, 4}) {
    expect_promise_kept(Mix::kInterleaved, {{0.01, 0.01}, {0.01, 0.01}}, lanes, 0.15);
    expect_promise_kept(Mix::kInterleaved, {{0.01, 0.02}, {0.02, 0.01}}, lanes, 0.15);
  }
}

}  // namespace
}  // namespace llmpq
