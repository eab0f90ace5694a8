// The scorer on stages that are a queue: which chunks it sends, how many at a time, and what it
// makes of what comes back.
#include "pipeline/score.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "base/expect_error.hpp"

namespace llmpq {
namespace {

/// Steps that were sent and have not come back. The logprob of a token is minus its id; where the
/// last stage compares, its divergence is an eighth of that, and even ids have the same top.
struct QueueStages {
  bool compares = false;
  std::deque<Step> under_way;
  int64_t most_under_way = 0, most_rows = 0;
  int stops = 0;
};

class StepsOut : public LinkOut {
 public:
  explicit StepsOut(QueueStages& stages) : stages_(stages) {}
  void start(std::vector<std::byte> message) override {
    if (message.empty()) {
      ++stages_.stops;
      return;
    }
    stages_.under_way.push_back(unpack_step(message));
    stages_.most_under_way = std::max(stages_.most_under_way, std::ssize(stages_.under_way));
    stages_.most_rows = std::max(stages_.most_rows, stages_.under_way.back().rows());
  }
  int finish() override { return 0; }

 private:
  QueueStages& stages_;
};

/// Gives back one step each time it is asked.
class ScoresIn : public LinkIn {
 public:
  explicit ScoresIn(QueueStages& stages) : stages_(stages) {}
  void post() override { ready_ = true; }
  std::optional<std::vector<std::byte>> take() override {
    if (!ready_ || stages_.under_way.empty()) return std::nullopt;
    ready_ = false;
    const Step step = std::move(stages_.under_way.front());
    stages_.under_way.pop_front();
    StepResult result;
    result.id = step.id;
    for (const int32_t target : step.targets) {
      if (target < 0) continue;
      result.scores.push_back(static_cast<float>(-target));
      if (!stages_.compares) continue;
      result.divergences.push_back(target / 8.0);
      result.same_tops.push_back(target % 2 == 0);
    }
    return pack(result);
  }
  int under_way() const override { return 0; }

 private:
  QueueStages& stages_;
  bool ready_ = false;
};

SchedulerConfig config() {
  SchedulerConfig config;
  config.stages = 2;
  config.prefill_tokens = 10;
  config.decode_batch = 7;
  config.kv_blocks = 8;
  return config;
}

DriverLinks links(QueueStages& stages) {
  DriverLinks links;
  links.steps.push_back(std::make_unique<StepsOut>(stages));
  links.results = std::make_unique<ScoresIn>(stages);
  return links;
}

std::vector<int32_t> ascending(int32_t count) {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < count; ++i) tokens.push_back(i);
  return tokens;
}

/// Until it is done.
void run(Scorer& scorer, const QueueStages& stages) {
  for (int polls = 0; !scorer.done(); ++polls) {
    ASSERT_LT(polls, 10000);
    scorer.poll();
  }
  EXPECT_EQ(stages.stops, 1);
}

TEST(Scorer, ScoresEachTokenOnceInChunksThatTheHeadHasRoomFor) {
  QueueStages stages;
  const auto windows = make_windows(ascending(100), 30, 20);
  Scorer scorer(config(), links(stages), windows);
  run(scorer, stages);
  double sum = 0;
  int64_t tokens = 0;
  for (const WindowScore& score : scorer.scores()) {
    sum += score.log_likelihood;
    tokens += score.tokens;
  }
  EXPECT_EQ(tokens, 99);
  EXPECT_EQ(sum, -99 * 100 / 2);
  EXPECT_EQ(stages.most_rows, 7);
  EXPECT_GT(stages.most_under_way, 4) << "as many windows as the blocks allow";
}

/// Where the last stage compares: each token's in the window that it is scored in.
TEST(Scorer, AddsUpDivergencesByWindow) {
  QueueStages stages;
  stages.compares = true;
  const auto windows = make_windows(ascending(100), 30, 20);
  Scorer scorer(config(), links(stages), windows);
  run(scorer, stages);
  int token = 1;
  for (const WindowScore& score : scorer.scores()) {
    double nats = 0;
    int64_t even = 0;
    for (const int64_t end = token + score.tokens; token < end; ++token) {
      nats += token / 8.0;
      even += token % 2 == 0;
    }
    EXPECT_EQ(score.divergence, nats);
    EXPECT_EQ(score.same_top, even);
  }
  EXPECT_EQ(token, 100);
}

TEST(Scorer, RefusesAWindowThatTheCacheCannotHold) {
  QueueStages stages;
  const auto windows = make_windows(ascending(200), 129, 100);
  EXPECT_ERROR(
      Scorer(config(), links(stages), windows), Exit::kNoPlan,
      "a window of 129 tokens needs 9 KV blocks, the plan has 8: --window makes it shorter");
}

TEST(Windows, StrideIsLessThanTheWindow) {
  EXPECT_ERROR(make_windows(ascending(9), 4, 4), Exit::kUsage, "--stride 4: want 1 to 3");
  EXPECT_ERROR(make_windows(ascending(9), 4, 0), Exit::kUsage, "--stride 0");
  const auto windows = make_windows(ascending(9), 4, 3);
  ASSERT_EQ(windows.size(), 3u);
  EXPECT_EQ(windows[1].tokens, (std::vector<int32_t>{3, 4, 5, 6}));
  EXPECT_EQ(windows[1].scored_from, 1);
  EXPECT_EQ(windows[2].tokens, (std::vector<int32_t>{6, 7, 8}));
}

}  // namespace
}  // namespace llmpq
