// The scheduler under a random driver: whatever the sizes, the mix and the order of events, every
// sequence gets exactly its tokens; and the limits that stages and planner count on hold.
#include "schedule/scheduler.hpp"

#include <gtest/gtest.h>

#include "fake_pipeline.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

int32_t between(std::mt19937& random, int32_t low, int32_t high) {
  return low + static_cast<int32_t>(random() % static_cast<uint32_t>(high - low + 1));
}

std::vector<FakeRequest> random_requests(std::mt19937& random, int32_t count, int32_t max_prompt,
                                         int32_t max_tokens) {
  std::vector<FakeRequest> requests(static_cast<size_t>(count));
  for (FakeRequest& request : requests) {
    request.prompt.resize(static_cast<size_t>(between(random, 1, max_prompt)));
    for (int32_t& token : request.prompt) token = between(random, 0, 1000);
    request.max_tokens = between(random, 1, max_tokens);
    request.expected_tokens = between(random, 0, 1) * between(random, 0, max_tokens);
  }
  return requests;
}

SchedulerConfig random_config(std::mt19937& random, int32_t longest) {
  SchedulerConfig config;
  config.mix = static_cast<Mix>(between(random, 0, 2));
  config.stages = between(random, 1, 5);
  config.prefill_tokens = between(random, 1, 40);
  config.decode_batch = between(random, 1, 8);
  config.lanes = between(random, 1, 5);
  config.chunks_in_flight = between(random, 0, 4);
  config.kv_block_tokens = between(random, 1, 8);
  const int32_t least = (longest + config.kv_block_tokens - 1) / config.kv_block_tokens;
  config.kv_blocks = least + between(random, 0, 3) * between(random, 0, least);
  return config;
}

TEST(Scheduler, EverySequenceGetsItsTokensWhateverTheConfig) {
  int64_t preemptions = 0, steps[3] = {0, 0, 0};
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const int32_t max_prompt = between(random, 1, 60), max_tokens = between(random, 1, 40);
    auto requests = random_requests(random, between(random, 1, 30), max_prompt, max_tokens);
    const SchedulerConfig config = random_config(random, max_prompt + max_tokens - 1);
    FakePipeline pipeline(config, requests);
    pipeline.run(&random);
    ASSERT_FALSE(HasFailure());
    for (size_t i = 0; i < requests.size(); ++i)
      ASSERT_EQ(pipeline.outputs()[i], expected_output(requests[i])) << "sequence " << i;
    preemptions += pipeline.scheduler().counts().preemptions;
    for (const auto& sent : pipeline.sent) ++steps[static_cast<int>(sent.kind)];
  }
  EXPECT_GT(preemptions, 1000);
  for (int64_t count : steps) EXPECT_GT(count, 1000);
  RecordProperty("preemptions", static_cast<int>(preemptions));
}

TEST(Scheduler, NobodyIsPreemptedWhereExpectationsHold) {
  int64_t held_back = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    auto requests = random_requests(random, 25, 40, 30);
    for (FakeRequest& request : requests) request.expected_tokens = request.max_tokens;
    FakePipeline pipeline(random_config(random, 69), requests);
    pipeline.run(&random);
    ASSERT_FALSE(HasFailure());
    EXPECT_EQ(pipeline.scheduler().counts().preemptions, 0);
    for (const auto& sent : pipeline.sent) held_back += sent.waiting > 0 && sent.free_blocks > 4;
  }
  EXPECT_GT(held_back, 1000);
}

TEST(Scheduler, TheSameWorkIsScheduledTheSameWay) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    const auto requests = random_requests(random, 20, 30, 20);
    const SchedulerConfig config = random_config(random, 49);
    FakePipeline a(config, requests), b(config, requests);
    a.run(nullptr);
    b.run(nullptr);
    ASSERT_FALSE(HasFailure());
    ASSERT_EQ(a.sent.size(), b.sent.size());
    for (size_t i = 0; i < a.sent.size(); ++i) {
      EXPECT_EQ(a.sent[i].kind, b.sent[i].kind);
      EXPECT_EQ(a.sent[i].free_blocks, b.sent[i].free_blocks);
    }
  }
}

/// The same requests to a scheduler that carries tokens and to one that carries ranges only.
void run_side_by_side(uint32_t seed) {
  std::mt19937 random(seed);
  const auto requests = random_requests(random, 20, 30, 20);
  const SchedulerConfig config = random_config(random, 49);
  Scheduler all(config), ranges(config, StepContents::kRanges);
  std::vector<int32_t> left;
  for (const FakeRequest& request : requests) {
    SequenceRequest r;
    r.max_tokens = request.max_tokens;
    r.expected_tokens = 1;
    r.start.sequence = static_cast<int64_t>(left.size());
    r.start.prompt_tokens = static_cast<int32_t>(request.prompt.size());
    ranges.add(r);
    r.tokens = request.prompt;
    all.add(r);
    left.push_back(between(random, 1, request.max_tokens));
  }
  std::deque<Step> under_way;
  while (!all.idle()) {
    auto a = all.next_step(), b = ranges.next_step();
    ASSERT_EQ(a.has_value(), b.has_value());
    if (a) {
      EXPECT_TRUE(b->tokens.empty() && b->block_table.empty() && b->starts.empty());
      EXPECT_EQ(shape_of(*b).rows(), a->rows());
      a->tokens.clear(), a->block_table.clear(), a->starts.clear();
      EXPECT_EQ(pack(*a), pack(*b));
      under_way.push_back(*a);
    } else {
      std::vector<ArrivedToken> tokens;
      for (const StepRange& range : under_way.front().ranges)
        if (range.sample)
          tokens.push_back({range.sequence, 1, --left[static_cast<size_t>(range.sequence)] == 0});
      all.arrived(under_way.front().id, tokens);
      ranges.arrived(under_way.front().id, tokens);
      under_way.pop_front();
    }
  }
  EXPECT_TRUE(ranges.idle());
}

TEST(Scheduler, StepsAreTheSameWithoutTheirTokens) {
  for (uint32_t seed = 0; seed < 200 && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    run_side_by_side(seed);
  }
}

/// Enough blocks for everybody.
SchedulerConfig ample_config(Mix mix, int32_t lanes, int32_t stages) {
  SchedulerConfig config;
  config.mix = mix;
  config.stages = stages;
  config.lanes = lanes;
  config.prefill_tokens = 32;
  config.decode_batch = 8;
  config.kv_blocks = 4000;
  return config;
}

FakePipeline run_ample(const SchedulerConfig& config, int32_t count) {
  std::mt19937 random(5);
  FakePipeline pipeline(config, random_requests(random, count, 50, 60));
  pipeline.run(nullptr);
  EXPECT_EQ(pipeline.scheduler().counts().preemptions, 0);
  return pipeline;
}

TEST(Scheduler, DecodeBatchesAreKeptFullWhilePromptsWait) {
  for (Mix mix : {Mix::kInterleaved, Mix::kMixed}) {
    for (int32_t lanes : {1, 3}) {
      const auto config = ample_config(mix, lanes, 3);
      const auto pipeline = run_ample(config, 400);
      int64_t steps = 0, full = 0;
      bool ramped = false;
      for (const auto& sent : pipeline.sent) {
        ramped |= sent.decoding >= int64_t{config.lanes} * config.decode_batch;
        if (!ramped || sent.waiting == 0 || sent.decode_rows == 0) continue;
        ++steps;
        full += sent.decode_rows == config.decode_batch;
      }
      EXPECT_GT(steps, 200) << name(mix) << " " << lanes;
      EXPECT_GT(static_cast<double>(full), 0.95 * static_cast<double>(steps))
          << name(mix) << " " << lanes << ": " << full << " of " << steps;
    }
  }
}

TEST(Scheduler, ChunksAreFullWhilePromptsWait) {
  for (Mix mix : {Mix::kSeparated, Mix::kInterleaved, Mix::kMixed}) {
    const auto config = ample_config(mix, 2, 2);
    const auto pipeline = run_ample(config, 400);
    int64_t chunks = 0, full = 0;
    for (const auto& sent : pipeline.sent) {
      if (sent.chunk_rows == 0 || sent.waiting == 0) continue;
      ++chunks;
      full += sent.chunk_rows == config.prefill_tokens;
    }
    EXPECT_GT(chunks, 200) << name(mix);
    // A wave ends with a chunk that has no more places to fill.
    const double share = mix == Mix::kSeparated ? 0.9 : 1.0;
    EXPECT_GE(static_cast<double>(full), share * static_cast<double>(chunks))
        << name(mix) << ": " << full << " of " << chunks;
  }
}

TEST(Scheduler, PrefillNeitherStarvesNorFloodsBetweenDecodeSteps) {
  const auto pipeline = run_ample(ample_config(Mix::kInterleaved, 4, 1), 400);
  int64_t decodes_in_a_row = 0, chunks_in_a_row = 0, checked = 0;
  for (const auto& sent : pipeline.sent) {
    const bool chunk = sent.kind == StepKind::kPrefill;
    chunks_in_a_row = chunk ? chunks_in_a_row + 1 : 0;
    decodes_in_a_row = chunk ? 0 : decodes_in_a_row + 1;
    EXPECT_LE(chunks_in_a_row, 5);  // lanes + stages
    if (sent.waiting == 0 || sent.decoding >= 4 * 8) continue;
    EXPECT_LE(decodes_in_a_row, 4) << "places are free, prompts wait, and no chunk goes out";
    ++checked;
  }
  EXPECT_GT(checked, 10);
}

TEST(Scheduler, ChunksOfOnePromptAreUnderWayTogether) {
  SchedulerConfig config = ample_config(Mix::kInterleaved, 2, 3);
  Scheduler scheduler(config);
  SequenceRequest request;
  request.tokens.assign(100, 1);
  request.max_tokens = 2;
  scheduler.add(request);
  std::vector<Step> steps;
  while (auto step = scheduler.next_step()) steps.push_back(*step);
  ASSERT_EQ(steps.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(steps[i].ranges.at(0).position, static_cast<int32_t>(32 * i));
    EXPECT_EQ(steps[i].ranges.at(0).sample, i == 3);
    EXPECT_EQ(steps[i].starts.size(), i == 0 ? 1u : 0u);
  }
  EXPECT_EQ(steps[3].rows(), 4);
  EXPECT_EQ(steps[3].block_table.size(), 7u);
}

TEST(Scheduler, ShortPromptsShareAChunk) {
  Scheduler scheduler(ample_config(Mix::kInterleaved, 2, 1));
  for (int64_t i = 0; i < 5; ++i) {
    SequenceRequest request;
    request.tokens.assign(7, static_cast<int32_t>(i));
    request.max_tokens = 3;
    request.start.sequence = i;
    scheduler.add(request);
  }
  const auto step = scheduler.next_step();
  ASSERT_TRUE(step);
  EXPECT_EQ(step->rows(), 32);
  ASSERT_EQ(step->ranges.size(), 5u);
  EXPECT_EQ(step->ranges[4].rows, 4);
  EXPECT_TRUE(step->ranges[3].sample);
  EXPECT_FALSE(step->ranges[4].sample);
}

TEST(Scheduler, TheYoungestGivesItsBlocksAndComesBackWithItsOutput) {
  SchedulerConfig config;
  config.decode_batch = 2;
  config.kv_block_tokens = 2;
  config.kv_blocks = 4;
  Scheduler scheduler(config);
  for (int64_t id : {10, 11}) {
    SequenceRequest request;
    request.tokens = {1, 2, 3};
    request.max_tokens = 6;
    request.expected_tokens = 0;
    request.start.sequence = id;
    scheduler.add(request);
  }
  const auto answer = [&](const Step& step, bool finished) {
    std::vector<ArrivedToken> tokens;
    for (const StepRange& range : step.ranges) tokens.push_back({range.sequence, 7, finished});
    scheduler.arrived(step.id, tokens);
  };
  for (int i = 0; i < 2; ++i) {  // a chunk with both, a decode step with both
    const auto step = scheduler.next_step();
    ASSERT_TRUE(step);
    ASSERT_EQ(step->ranges.size(), 2u);
    answer(*step, false);
  }
  // Both hold two blocks and want a third: the older takes one of the younger.
  const auto alone = scheduler.next_step();
  ASSERT_TRUE(alone);
  ASSERT_EQ(alone->ranges.size(), 1u);
  EXPECT_EQ(alone->ranges[0].sequence, 10);
  EXPECT_EQ(alone->ends, std::vector<int64_t>{11});
  EXPECT_EQ(scheduler.counts().preemptions, 1);
  EXPECT_EQ(scheduler.counts().waiting, 1);
  EXPECT_FALSE(scheduler.next_step());
  answer(*alone, true);

  const auto again = scheduler.next_step();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->kind, StepKind::kPrefill);
  EXPECT_EQ(again->tokens, (std::vector<int32_t>{1, 2, 3, 7, 7}));
  ASSERT_EQ(again->starts.size(), 1u);
  EXPECT_EQ(again->starts[0].sequence, 11);
  EXPECT_EQ(again->starts[0].prompt_tokens, 3);
  EXPECT_EQ(again->ends, std::vector<int64_t>{10});
  EXPECT_TRUE(again->ranges.at(0).sample);
}

TEST(Scheduler, FitsCountsEveryTokenButTheLast) {
  SchedulerConfig config;
  config.kv_blocks = 4;
  const Scheduler scheduler(config);
  EXPECT_TRUE(scheduler.fits(60, 5));
  EXPECT_FALSE(scheduler.fits(60, 6));
  EXPECT_TRUE(scheduler.fits(64, 1));
  EXPECT_FALSE(scheduler.fits(65, 1));
}

template <typename Call>
void expect_error(Call call, const std::string& sentence) {
  try {
    call();
    FAIL() << "no error: " << sentence;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kInternal);
    EXPECT_NE(std::string(error.what()).find(sentence), std::string::npos) << error.what();
  }
}

SequenceRequest small_request(int64_t id) {
  SequenceRequest request;
  request.tokens = {1, 2};
  request.max_tokens = 2;
  request.start.sequence = id;
  return request;
}

TEST(Scheduler, MisuseIsReported) {
  SchedulerConfig config;
  expect_error([&] { Scheduler s(config); }, "0 KV blocks");
  config.kv_blocks = 4;
  Scheduler scheduler(config);
  auto request = small_request(3);
  request.tokens.clear();
  expect_error([&] { scheduler.add(request); }, "sequence 3 has 0 prompt tokens");
  request.tokens.assign(100, 1);
  expect_error([&] { scheduler.add(request); }, "never fits into 4 KV blocks");
  scheduler.add(small_request(3));
  expect_error([&] { scheduler.add(small_request(3)); }, "sequence 3 was added twice");
  expect_error([&] { scheduler.arrived(0, {}); }, "step 0 came back out of order");
  const auto step = scheduler.next_step();
  ASSERT_TRUE(step);
  expect_error([&] { scheduler.arrived(1, {}); }, "step 1 came back out of order");
}

TEST(Scheduler, ResultsThatDoNotBelongToTheStepAreReported) {
  SchedulerConfig config;
  config.kv_blocks = 4;
  const auto sent = [&] {
    Scheduler scheduler(config);
    scheduler.add(small_request(3));
    EXPECT_TRUE(scheduler.next_step());
    return scheduler;
  };
  expect_error([&] { sent().arrived(0, {}); }, "step 0 came back with 0 tokens, want 1");
  const ArrivedToken other{4, 1, false};
  expect_error([&] { sent().arrived(0, {&other, 1}); }, "a token of sequence 4 came back");
  Scheduler scheduler = sent();
  const ArrivedToken token{3, 1, false};
  scheduler.arrived(0, {&token, 1});
  EXPECT_TRUE(scheduler.next_step());
  expect_error([&] { scheduler.arrived(1, {&token, 1}); }, "sequence 3 goes on after its 2 tokens");
}

TEST(Scheduler, ForgetsWhoWaitsAndFinishesWhoRuns) {
  SchedulerConfig config;
  config.decode_batch = 2;
  config.kv_blocks = 64;
  config.prefill_tokens = 8;
  Scheduler scheduler(config);
  for (int64_t id = 0; id < 9; ++id) {
    SequenceRequest request;
    request.tokens = {1, 2, 3, 4};
    request.max_tokens = 2;
    request.start.sequence = id;
    scheduler.add(request);
  }
  auto step = scheduler.next_step();
  ASSERT_TRUE(step);
  ASSERT_EQ(step->ranges.size(), 2u) << "two prompts in the first chunk";
  EXPECT_EQ(scheduler.drop_waiting(), (std::vector<int64_t>{2, 3, 4, 5, 6, 7, 8}));
  for (const bool last : {false, true}) {
    const std::vector<ArrivedToken> tokens{{0, 5, last}, {1, 5, last}};
    scheduler.arrived(step->id, tokens);
    step = scheduler.next_step();
    EXPECT_EQ(step.has_value(), !last);
  }
  EXPECT_TRUE(scheduler.idle());
}

}  // namespace
}  // namespace llmpq
