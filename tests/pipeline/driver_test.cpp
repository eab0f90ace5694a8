// The driver as it is, on stages that are queues and a clock that nobody waits for: what it does at
// which moment is what the simulator promised.
#include "pipeline/driver.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <ostream>
#include <random>
#include <thread>

#include "base/hdf5.hpp"
#include "base/temp_folder.hpp"
#include "pipeline/made_feed.hpp"
#include "schedule/plain_stages.hpp"
#include "schedule/simulate.hpp"

namespace llmpq {
namespace {

constexpr int64_t kRows = 128;  ///< two reads of the I/O thread; row kRows is only looked at

/// Control messages: the first stage's stand for all, because PlainStages tells each of them.
class ControlOut : public LinkOut {
 public:
  ControlOut(PlainStages& stages, ByKind<int64_t>* steps) : stages_(stages), steps_(steps) {}
  void start(std::vector<std::byte> message) override {
    if (message.empty()) ++stops;
    if (message.empty() || !steps_) return;
    const Step step = unpack_step(message);
    ++steps_->of(step.kind);
    stages_.release(step);
  }
  int finish() override { return 0; }
  int stops = 0;

 private:
  PlainStages& stages_;
  ByKind<int64_t>* steps_;  ///< the first stage's link only
};

class ResultsIn : public LinkIn {
 public:
  explicit ResultsIn(PlainStages& stages) : stages_(stages) {}
  void post() override {}
  std::optional<std::vector<std::byte>> take() override {
    if (stages_.results.empty()) return std::nullopt;
    const Step step = std::move(stages_.results.front());
    stages_.results.pop_front();
    StepResult result;
    result.id = step.id;
    for (const StepRange& range : step.ranges)
      if (range.sample) result.sequences.push_back(range.sequence);
    result.tokens.assign(result.sequences.size(), 1);
    result.logprobs.assign(result.sequences.size(), 0);
    result.top_counts.assign(result.sequences.size(), 0);
    return pack(result);
  }
  int under_way() const override { return 0; }

 private:
  PlainStages& stages_;
};

class ListSink : public RowSink {
 public:
  void add(FinishedRow row) override { rows.push_back(std::move(row)); }
  void commit() override {}
  std::vector<FinishedRow> rows;
};

class DriverTest : public testing::Test {
 protected:
  DriverTest() {
    std::mt19937 random(11);
    std::vector<int64_t> splits{0};
    for (int64_t row = 0; row <= kRows; ++row)
      splits.push_back(splits.back() + 1 + static_cast<int64_t>(random() % 70));
    const std::vector<int32_t> values(static_cast<size_t>(splits.back()), 3);
    h5::File file = h5::File::create(path_, false, Exit::kPrompts);
    h5::Group group = file.create_group("prompt_token_ids");
    group.create_dataset("values", {h5::value_type<int32_t>(), 16, {}})
        .write(0, std::span<const int32_t>(values));
    group.create_dataset("row_splits", {h5::value_type<int64_t>(), 16, {}})
        .write(0, std::span<const int64_t>(splits));
    for (int64_t row = 0; row < kRows; ++row)
      prompts_.push_back(splits[static_cast<size_t>(row) + 1] - splits[static_cast<size_t>(row)]);
    feed_.rows = {0, kRows + 1};
    feed_.max_model_len = 64;
    feed_.vocab = 100;
    feed_.defaults.max_tokens = 24;
    // When the last row is looked at, all those before it are there: the driver never meets a queue
    // that is empty because the thread is slow.
    feed_.is_done = [this](int64_t row, int32_t) {
      if (row == kRows) all_read_ = true;
      return row == kRows;
    };
  }

  /// Runs the driver until all is done; returns the time at which the last result came.
  double run(const SimulationSetup& setup, const DriverSetup& driver_setup) {
    PlainStages stages(setup);
    DriverLinks links;
    std::vector<ControlOut*> controls;
    for (size_t j = 0; j < setup.stages.size(); ++j) {
      auto control = std::make_unique<ControlOut>(stages, j == 0 ? &steps_ : nullptr);
      controls.push_back(control.get());
      links.steps.push_back(std::move(control));
    }
    links.results = std::make_unique<ResultsIn>(stages);
    const PromptsFile prompts = PromptsFile::open(path_);
    Feed feed(prompts, nullptr, feed_);
    Bell bell;
    IoThread io(feed, sink_, 4096, bell);
    while (!all_read_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    Driver driver(driver_setup, std::move(links), nullptr, io);
    while (!driver.done()) {
      if (driver.poll()) continue;
      stages.advance();
    }
    io.close();
    counts_ = driver.counts();
    for (const ControlOut* control : controls) EXPECT_EQ(control->stops, 1);
    return stages.now_s();
  }

  TempFolder folder_;
  std::filesystem::path path_ = folder_ / "prompts.h5";
  std::vector<int64_t> prompts_;
  FeedSetup feed_;
  std::atomic<bool> all_read_{false};
  ListSink sink_;
  ByKind<int64_t> steps_;
  DriverCounts counts_;
};

SimulationSetup pipeline(Mix mix, int32_t kv_blocks) {
  SimulationSetup setup;
  setup.scheduler = {mix, 3, 32, 4, 2, 0, kv_blocks, 8};
  for (double fixed : {4.0, 3.0, 5.0})
    setup.stages.push_back([=](const StepShape& s) {
      return fixed + 0.25 * static_cast<double>(s.rows()) +
             0.125 * static_cast<double>(s.decode_keys);
    });
  setup.links.assign(2, {{0.5, 0.125}, 2});
  setup.control_s = 0.25;
  setup.result_s = 0.5;
  setup.window = 20;
  setup.max_model_len = 64;
  return setup;
}

struct Case {
  Mix mix;
  int32_t kv_blocks;
  bool ignore_eos;  ///< else 3 tokens are expected where 24 come
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << name(c.mix) << ", " << c.kv_blocks << " blocks" << (c.ignore_eos ? "" : ", outlived");
}

class DriverAndSimulator : public DriverTest, public testing::WithParamInterface<Case> {};

TEST_P(DriverAndSimulator, AgreeOnStepsRowsAndTime) {
  const auto [mix, kv_blocks, ignore_eos] = GetParam();
  const SimulationSetup setup = pipeline(mix, kv_blocks);
  DriverSetup driver;
  driver.scheduler = setup.scheduler;
  driver.window = setup.window;
  driver.expected_output_tokens = 3;
  feed_.defaults.ignore_eos = ignore_eos;
  std::vector<SimulatedRow> rows;
  for (int64_t prompt : prompts_) rows.push_back({prompt, 24, 0, ignore_eos ? 0 : 3});

  const SimulationResult result = simulate(setup, rows);
  const double seconds = run(setup, driver);
  EXPECT_EQ(result.seconds, seconds);
  EXPECT_EQ(result.steps.prefill, steps_.prefill);
  EXPECT_EQ(result.steps.decode, steps_.decode);
  EXPECT_EQ(result.steps.mixed, steps_.mixed);
  EXPECT_EQ(result.steps.sum(), counts_.steps);
  EXPECT_EQ(result.prefill_rows, counts_.prefill_rows);
  EXPECT_EQ(result.decode_rows, counts_.decode_rows);
  EXPECT_EQ(result.output_tokens, counts_.output_tokens);
  EXPECT_EQ(result.preemptions, counts_.preemptions);
  EXPECT_EQ(result.preemptions > 0, !ignore_eos);

  ASSERT_EQ(sink_.rows.size(), static_cast<size_t>(kRows));
  int64_t failed = 0;
  for (const FinishedRow& row : sink_.rows) failed += row.finish_reason == FinishReason::kError;
  EXPECT_EQ(result.failed_rows, failed);
  EXPECT_GT(failed, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Mixes, DriverAndSimulator,
    testing::Values(Case{Mix::kSeparated, 400, true}, Case{Mix::kInterleaved, 400, true},
                    Case{Mix::kMixed, 400, true}, Case{Mix::kSeparated, 24, true},
                    Case{Mix::kSeparated, 24, false}, Case{Mix::kInterleaved, 24, false},
                    Case{Mix::kMixed, 24, false}));

class StoppedDriver : public DriverTest, public testing::WithParamInterface<Mix> {
 protected:
  /// Asks for a stop at the 100th look.
  size_t rows_with(Stop stop) {
    const SimulationSetup setup = pipeline(GetParam(), 60);
    DriverSetup driver;
    driver.scheduler = setup.scheduler;
    driver.window = setup.window;
    driver.stop = [stop, looks = 0]() mutable { return ++looks > 100 ? stop : Stop::kNo; };
    feed_.defaults.ignore_eos = true;
    sink_.rows.clear();
    all_read_ = false;
    run(setup, driver);
    size_t good = 0;
    for (const FinishedRow& row : sink_.rows)
      if (row.finish_reason != FinishReason::kError) {
        ++good;
        EXPECT_EQ(row.token_ids.size(), std::min<size_t>(24, 64 - row.prompt_tokens)) << row.row;
      }
    return good;
  }
};

TEST_P(StoppedDriver, FinishesWhatRunsOrNothingMore) {
  const size_t all = rows_with(Stop::kNo), drained = rows_with(Stop::kDrain),
               now = rows_with(Stop::kNow);
  EXPECT_GT(all, drained);
  EXPECT_GE(drained, now + 4) << "at least a batch was running";
}

INSTANTIATE_TEST_SUITE_P(Mixes, StoppedDriver,
                         testing::Values(Mix::kSeparated, Mix::kInterleaved, Mix::kMixed));

/// A disk that takes nothing until it is opened.
class SlowSink : public RowSink {
 public:
  void add(FinishedRow) override {
    open.wait(false);
    ++rows;
  }
  void commit() override {}
  std::atomic<bool> open{false};
  int64_t rows = 0;
};

TEST(DriverAndDisk, TimeWithoutAPromptIsCounted) {
  constexpr int64_t kMany = 40'000;  // more than are read ahead; too long: each ends at once
  MadeFeed feed({.lengths = std::vector<RequestLength>(kMany, {4, 4000}),
                 .vocab = 100,
                 .seed = 1,
                 .sampling = {}});
  const SimulationSetup setup = pipeline(Mix::kMixed, 8);
  PlainStages stages(setup);
  DriverLinks links;
  links.steps.push_back(std::make_unique<ControlOut>(stages, nullptr));
  links.results = std::make_unique<ResultsIn>(stages);
  SlowSink sink;
  Bell bell;
  IoThread io(feed, sink, 4096, bell);
  DriverSetup driver_setup;
  driver_setup.scheduler = setup.scheduler;
  driver_setup.window = setup.window;
  Driver driver(driver_setup, std::move(links), nullptr, io);
  while (driver.counts().starved_s == 0) driver.poll();
  const double before_s = driver.counts().starved_s;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  driver.poll();
  EXPECT_GE(driver.counts().starved_s - before_s, 0.02);
  EXPECT_FALSE(io.exhausted());
  sink.open = true;
  sink.open.notify_all();
  while (!driver.done()) driver.poll();
  io.close();
  EXPECT_EQ(sink.rows, kMany);
}

}  // namespace
}  // namespace llmpq
