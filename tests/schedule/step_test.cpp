// Steps and results on the wire: round trips, every truncation, and bytes that are no step.
#include "schedule/step.hpp"

#include <gtest/gtest.h>

#include <random>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

SequenceStart full_start(int64_t sequence) {
  SequenceStart start;
  start.sequence = sequence;
  start.prompt_tokens = 5;
  start.row_seed = 0xfedcba9876543210u;
  start.sample = 3;
  start.sampling.max_tokens = 17;
  start.sampling.min_tokens = 2;
  start.sampling.temperature = 0.7f;
  start.sampling.top_p = 0.9f;
  start.sampling.top_k = 40;
  start.sampling.min_p = 0.05f;
  start.sampling.repetition_penalty = 1.1f;
  start.sampling.presence_penalty = -0.5f;
  start.sampling.frequency_penalty = 0.25f;
  start.sampling.seed = 0xffffffffffffffffu;
  start.sampling.ignore_eos = true;
  start.sampling.stop_token_ids = {1, -2, 2147483647};
  start.sampling.logprobs = 4;
  return start;
}

Step full_step() {
  Step step;
  step.id = 123456789012345;
  step.pipeline = 1;
  step.kind = StepKind::kMixed;
  step.lane = 2;
  step.tokens = {7, 8, 9, 2147483647};
  step.ranges = {{11, 1, 31, 2, true}, {int64_t{1} << 40, 3, 0, 1, false}};
  step.block_table = {4, 0, 9};
  step.targets = {-1, 5, 6, 7};
  step.starts = {full_start(int64_t{1} << 40), SequenceStart{}};
  step.ends = {3, -1};
  return step;
}

StepResult full_result() {
  StepResult result;
  result.id = 77;
  result.sequences = {11, 12};
  result.tokens = {5, 6};
  result.logprobs = {-0.5f, -1e-30f};
  result.top_counts = {0, 2};
  result.top_token_ids = {6, 9};
  result.top_logprobs = {-0.25f, -3.5f};
  result.scores = {-1.5f, -2.0f};
  result.divergences = {1e-300, 0.1};
  result.same_tops = {0, 1};
  return result;
}

void expect_equal(const SequenceStart& a, const SequenceStart& b) {
  EXPECT_EQ(a.sequence, b.sequence);
  EXPECT_EQ(a.prompt_tokens, b.prompt_tokens);
  EXPECT_EQ(a.row_seed, b.row_seed);
  EXPECT_EQ(a.sample, b.sample);
  EXPECT_EQ(a.sampling.max_tokens, b.sampling.max_tokens);
  EXPECT_EQ(a.sampling.min_tokens, b.sampling.min_tokens);
  EXPECT_EQ(a.sampling.temperature, b.sampling.temperature);
  EXPECT_EQ(a.sampling.top_p, b.sampling.top_p);
  EXPECT_EQ(a.sampling.top_k, b.sampling.top_k);
  EXPECT_EQ(a.sampling.min_p, b.sampling.min_p);
  EXPECT_EQ(a.sampling.repetition_penalty, b.sampling.repetition_penalty);
  EXPECT_EQ(a.sampling.presence_penalty, b.sampling.presence_penalty);
  EXPECT_EQ(a.sampling.frequency_penalty, b.sampling.frequency_penalty);
  EXPECT_EQ(a.sampling.seed, b.sampling.seed);
  EXPECT_EQ(a.sampling.ignore_eos, b.sampling.ignore_eos);
  EXPECT_EQ(a.sampling.stop_token_ids, b.sampling.stop_token_ids);
  EXPECT_EQ(a.sampling.logprobs, b.sampling.logprobs);
}

/// Whether the bytes are refused as no step; anything but a step or Error(kMpi) fails the test.
bool refused(std::span<const std::byte> bytes) {
  try {
    unpack_step(bytes);
    return false;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kMpi) << error.what();
    return true;
  }
}

TEST(Step, ItsShapeCountsRowsAndTheKeysThatTheyLookAt) {
  Step step;
  EXPECT_EQ(shape_of(step).rows(), 0);
  step.ranges = {{1, 1, 31, 2, true}, {2, 1, 0, 1, true}, {3, 3, 10, 1, false}, {4, 2, 0, 1, true}};
  const StepShape shape = shape_of(step);
  EXPECT_EQ(shape.decode_rows, 2);
  EXPECT_EQ(shape.decode_keys, 32 + 1);
  EXPECT_EQ(shape.prefill_rows, 5);
  EXPECT_EQ(shape.prefill_keys, (11 + 12 + 13) + (1 + 2));
  EXPECT_EQ(shape.prefill_context, 13 + 2) << "what a kernel has to read at least";
  EXPECT_EQ(shape.samples, 3);
  EXPECT_EQ(shape.rows(), 7);
}

TEST(Step, ComesBackAsItWasSent) {
  const Step sent = full_step();
  const Step got = unpack_step(pack(sent));
  EXPECT_EQ(got.id, sent.id);
  EXPECT_EQ(got.pipeline, sent.pipeline);
  EXPECT_EQ(got.kind, sent.kind);
  EXPECT_EQ(got.lane, sent.lane);
  EXPECT_EQ(got.tokens, sent.tokens);
  EXPECT_EQ(got.block_table, sent.block_table);
  EXPECT_EQ(got.targets, sent.targets);
  EXPECT_EQ(got.ends, sent.ends);
  ASSERT_EQ(got.ranges.size(), sent.ranges.size());
  for (size_t i = 0; i < sent.ranges.size(); ++i) {
    EXPECT_EQ(got.ranges[i].sequence, sent.ranges[i].sequence);
    EXPECT_EQ(got.ranges[i].rows, sent.ranges[i].rows);
    EXPECT_EQ(got.ranges[i].position, sent.ranges[i].position);
    EXPECT_EQ(got.ranges[i].blocks, sent.ranges[i].blocks);
    EXPECT_EQ(got.ranges[i].sample, sent.ranges[i].sample);
  }
  ASSERT_EQ(got.starts.size(), sent.starts.size());
  for (size_t i = 0; i < sent.starts.size(); ++i) expect_equal(got.starts[i], sent.starts[i]);
}

TEST(Step, StopStringsStayBehind) {
  Step step = full_step();
  step.starts[0].sampling.stop = {"\n\n"};
  EXPECT_TRUE(unpack_step(pack(step)).starts[0].sampling.stop.empty());
}

TEST(Step, BytesAreLittleEndian) {
  Step step;
  step.id = 0x0807060504030201;
  const auto bytes = pack(step);
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(bytes[i], static_cast<std::byte>(i + 1));
}

TEST(StepResult, ComesBackAsItWasSent) {
  const StepResult sent = full_result();
  const StepResult got = unpack_result(pack(sent));
  EXPECT_EQ(got.id, sent.id);
  EXPECT_EQ(got.sequences, sent.sequences);
  EXPECT_EQ(got.tokens, sent.tokens);
  EXPECT_EQ(got.logprobs, sent.logprobs);
  EXPECT_EQ(got.top_counts, sent.top_counts);
  EXPECT_EQ(got.top_token_ids, sent.top_token_ids);
  EXPECT_EQ(got.top_logprobs, sent.top_logprobs);
  EXPECT_EQ(got.scores, sent.scores);
  EXPECT_EQ(got.divergences, sent.divergences);
  EXPECT_EQ(got.same_tops, sent.same_tops);
}

TEST(Step, EveryTruncationIsRefused) {
  const auto step = pack(full_step());
  for (size_t size = 0; size < step.size(); ++size)
    EXPECT_TRUE(refused(std::span(step).first(size))) << size << " of " << step.size();
  const auto result = pack(full_result());
  for (size_t size = 0; size < result.size(); ++size)
    EXPECT_THROW(unpack_result(std::span(result).first(size)), Error) << size;
}

TEST(Step, BytesLeftOverAreRefused) {
  auto bytes = pack(full_step());
  bytes.push_back(std::byte{0});
  EXPECT_TRUE(refused(bytes));
}

TEST(Step, AListLongerThanTheBytesIsRefusedBeforeItIsAllocated) {
  auto bytes = pack(Step{});
  const size_t tokens_count = 8 + 4 + 1 + 4;  // behind id, pipeline, kind and lane
  bytes[tokens_count + 7] = std::byte{0x7f};
  try {
    unpack_step(bytes);
    FAIL() << "2^62 tokens were believed";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("a list of 9151314442816847872 elements"),
              std::string::npos)
        << error.what();
  }
}

TEST(Step, AKindThatDoesNotExistIsRefused) {
  auto bytes = pack(full_step());
  bytes[12] = std::byte{3};
  EXPECT_TRUE(refused(bytes));
}

TEST(Step, RandomDamageIsReadOrRefused) {
  std::mt19937 random(7);
  const auto good = pack(full_step());
  int refusals = 0;
  for (int round = 0; round < 20000; ++round) {
    auto bytes = good;
    for (int change = 0; change < 3; ++change)
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    refusals += refused(bytes);
  }
  EXPECT_GT(refusals, 1000);
}

TEST(Mix, NamesAndBack) {
  for (Mix mix : {Mix::kSeparated, Mix::kInterleaved, Mix::kMixed})
    EXPECT_EQ(parse_mix(name(mix)), mix);
  EXPECT_EQ(parse_mix("Mixed"), std::nullopt);
  EXPECT_EQ(parse_mix(""), std::nullopt);
}

}  // namespace
}  // namespace llmpq
