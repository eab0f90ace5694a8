// The simulator beside a plain twin: queues and events, a scheduler that carries tokens. On random
// setups both must agree on every number.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <random>

#include "plain_stages.hpp"
#include "schedule/simulate.hpp"

namespace llmpq {
namespace {

int32_t between(std::mt19937& random, int32_t low, int32_t high) {
  return low + static_cast<int32_t>(random() % static_cast<uint32_t>(high - low + 1));
}

/// Seconds in eighths, some zero: many things happen at the same moment.
double eighths(std::mt19937& random, int32_t most) { return between(random, 0, most) / 8.0; }

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

SimulationSetup random_setup(std::mt19937& random, int32_t longest) {
  SimulationSetup setup;
  setup.scheduler = random_config(random, longest);
  for (int32_t j = 0; j < setup.scheduler.stages; ++j) {
    const double fixed = eighths(random, 8), row = eighths(random, 2), key = eighths(random, 1);
    setup.stages.push_back([=](const StepShape& s) {
      return fixed + row * static_cast<double>(s.rows()) +
             key * static_cast<double>(s.prefill_keys + 2 * s.decode_keys + s.samples);
    });
    if (j > 0) setup.links.push_back({{eighths(random, 8), eighths(random, 1)}, 2});
  }
  setup.control_s = eighths(random, 2);
  setup.result_s = eighths(random, 2);
  setup.window = between(random, 1, 30);
  return setup;
}

std::vector<SimulatedRow> random_rows(std::mt19937& random, int32_t max_prompt,
                                      int32_t max_tokens) {
  std::vector<SimulatedRow> rows(static_cast<size_t>(between(random, 1, 30)));
  for (SimulatedRow& row : rows) {
    row.prompt_tokens = between(random, 1, max_prompt);
    row.max_tokens = between(random, 1, max_tokens);
    row.output_tokens = between(random, 1, static_cast<int32_t>(row.max_tokens));
    row.expected_tokens = between(random, 0, 1);
  }
  return rows;
}

/// What the twin is asked for.
struct PlainResult {
  double seconds = 0;
  ByKind<int64_t> steps;
  int64_t preemptions = 0;
  std::vector<double> finish_s;
};

class PlainRun {
 public:
  PlainRun(const SimulationSetup& setup, const std::vector<SimulatedRow>& rows)
      : setup_(setup), rows_(rows), scheduler_(setup.scheduler), stages_(setup) {
    result_.finish_s.assign(rows.size(), -1);
    for (const SimulatedRow& row : rows) left_.push_back(row.output_tokens);
  }

  PlainResult run() {
    poll();
    while (stages_.next_s() < std::numeric_limits<double>::infinity()) {
      stages_.advance();
      if (!stages_.results.empty()) poll();
    }
    EXPECT_TRUE(scheduler_.idle());
    result_.seconds = stages_.now_s();
    result_.preemptions = scheduler_.counts().preemptions;
    return result_;
  }

 private:
  void poll() {
    for (; !stages_.results.empty(); stages_.results.pop_front()) take(stages_.results.front());
    while (next_ < rows_.size() && scheduler_.counts().waiting < setup_.window) add(rows_[next_]);
    while (auto step = scheduler_.next_step()) {
      ++result_.steps.of(step->kind);
      stages_.release(*step);
    }
  }
  void add(const SimulatedRow& row) {
    SequenceRequest request;
    request.tokens.assign(static_cast<size_t>(row.prompt_tokens), 7);
    request.max_tokens = static_cast<int32_t>(row.max_tokens);
    const int64_t expected = row.expected_tokens > 0 ? row.expected_tokens : row.output_tokens;
    request.expected_tokens = static_cast<int32_t>(std::min(expected, row.max_tokens));
    request.start.sequence = static_cast<int64_t>(next_++);
    scheduler_.add(std::move(request));
  }
  void take(const Step& step) {
    std::vector<ArrivedToken> tokens;
    for (const StepRange& range : step.ranges) {
      if (!range.sample) continue;
      const auto row = static_cast<size_t>(range.sequence);
      tokens.push_back({range.sequence, 7, --left_[row] == 0});
      if (left_[row] == 0) result_.finish_s[row] = stages_.now_s();
    }
    scheduler_.arrived(step.id, tokens);
  }

  const SimulationSetup& setup_;
  const std::vector<SimulatedRow>& rows_;
  Scheduler scheduler_;
  PlainStages stages_;
  PlainResult result_;
  std::vector<int64_t> left_;
  size_t next_ = 0;
};

TEST(SimulateTwin, AgreesOnEveryMomentWhateverTheSetup) {
  int64_t preemptions = 0;
  ByKind<int64_t> steps;
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const int32_t max_prompt = between(random, 1, 60), max_tokens = between(random, 1, 40);
    const SimulationSetup setup = random_setup(random, max_prompt + max_tokens - 1);
    const std::vector<SimulatedRow> rows = random_rows(random, max_prompt, max_tokens);
    const SimulationResult result = simulate(setup, rows);
    const PlainResult plain = PlainRun(setup, rows).run();
    ASSERT_EQ(result.seconds, plain.seconds);
    ASSERT_EQ(result.finish_s, plain.finish_s);
    ASSERT_EQ(result.steps.prefill, plain.steps.prefill);
    ASSERT_EQ(result.steps.decode, plain.steps.decode);
    ASSERT_EQ(result.steps.mixed, plain.steps.mixed);
    ASSERT_EQ(result.preemptions, plain.preemptions);
    preemptions += result.preemptions;
    for (StepKind kind : {StepKind::kPrefill, StepKind::kDecode, StepKind::kMixed})
      steps.of(kind) += plain.steps.of(kind);
  }
  EXPECT_GT(preemptions, 100);
  EXPECT_GT(std::min({steps.prefill, steps.decode, steps.mixed}), 1000);
}

/// 2,000 prompts x 128 tokens on 8 stages: the best of a few runs, for people. Nothing depends on
/// it.
TEST(SimulateTwin, PrintsItsSpeed) {
  std::mt19937 random(1);
  std::vector<SimulatedRow> rows(2000);
  for (SimulatedRow& row : rows) row = {between(random, 64, 1023), 128, 0, 0};
  SimulationSetup setup;
  setup.links.assign(7, {{1e-5, 1e-9}, 8192});
  for (int j = 0; j < 8; ++j)
    setup.stages.push_back([j](const StepShape& s) {
      return 1e-3 + 1e-4 * j + 2e-5 * static_cast<double>(s.rows()) +
             1e-9 * static_cast<double>(s.prefill_keys + 2 * s.decode_keys);
    });
  for (Mix mix : {Mix::kSeparated, Mix::kInterleaved, Mix::kMixed}) {
    setup.scheduler = {mix, 8, 256, 32, 8, 0, 32768, 16};
    double best_s = 1e9;
    SimulationResult result;
    for (int i = 0; i < 3; ++i) {
      const std::clock_t begin = std::clock();  // of this process: other work does not count
      result = simulate(setup, rows);
      best_s = std::min(best_s, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    }
    EXPECT_EQ(result.output_tokens, 2000 * 128);
    fmt::print("{}: {} steps of 8 stages in {:.1f} ms\n", name(mix), result.steps.sum(),
               1e3 * best_s);
  }
}

}  // namespace
}  // namespace llmpq
