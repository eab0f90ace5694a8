// Stages without arithmetic: a cache whose slots remember which token was written, and a "model"
// whose next token is a hash of the tokens it reads back through the block table. So a token is
// right only if every row before it went out once, in order, into blocks that nobody overwrote.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "schedule/scheduler.hpp"

namespace llmpq {

struct FakeRequest {
  std::vector<int32_t> prompt;
  int32_t max_tokens = 1;
  int32_t expected_tokens = 1;
};

/// FNV over the tokens; token 0 (one in `kVocab`) ends a text.
inline constexpr uint64_t kVocab = 24;
inline int32_t next_token(const std::vector<int32_t>& tokens) {
  uint64_t hash = 1469598103934665603u;
  for (int32_t token : tokens) hash = (hash ^ static_cast<uint64_t>(token)) * 1099511628211u;
  return static_cast<int32_t>((hash >> 20) % kVocab);
}

/// The output that a request must get, whatever the schedule.
inline std::vector<int32_t> expected_output(const FakeRequest& request) {
  std::vector<int32_t> tokens = request.prompt, output;
  while (static_cast<int32_t>(output.size()) < request.max_tokens) {
    output.push_back(next_token(tokens));
    tokens.push_back(output.back());
    if (output.back() == 0) break;
  }
  return output;
}

class FakePipeline {
 public:
  FakePipeline(const SchedulerConfig& config, std::vector<FakeRequest> requests)
      : config_(config),
        scheduler_(config),
        requests_(std::move(requests)),
        outputs_(requests_.size()),
        cache_(static_cast<size_t>(config.kv_blocks * config.kv_block_tokens)) {}

  /// Sends what may be sent, lets steps come back, adds requests as they come: in random order if
  /// `random` is given; else all requests first, and a step comes back when nothing can be sent.
  void run(std::mt19937* random);

  Scheduler& scheduler() { return scheduler_; }
  const std::vector<std::vector<int32_t>>& outputs() const { return outputs_; }
  const std::vector<FakeRequest>& requests() const { return requests_; }

  /// What was sent, for tests that look at the order of steps.
  struct Sent {
    StepKind kind;
    int32_t lane;
    int64_t chunk_rows, decode_rows, samples;
    int64_t waiting, decoding, free_blocks;  ///< right after it was sent
  };
  std::vector<Sent> sent;

 private:
  struct Slot {
    int64_t sequence = -1;
    int64_t position = -1;
    int32_t token = 0;
  };
  struct Sampler {
    int64_t fed = 0;
  };

  void add_next();
  bool send_one();
  void take_one();
  void check_limits(const Step& step);
  Sent check_ranges(const Step& step);
  void check_company(const Step& step);
  void run_range(const Step& step, const StepRange& range, size_t row, size_t table);
  std::vector<int32_t> read_back(const Step& step, const StepRange& range, size_t table);

  SchedulerConfig config_;
  Scheduler scheduler_;
  std::vector<FakeRequest> requests_;
  std::vector<std::vector<int32_t>> outputs_;
  std::vector<Slot> cache_;
  std::map<int64_t, Sampler> samplers_;
  std::deque<Step> under_way_;
  std::set<int64_t> prefills_;  ///< sequences that started and were not sampled since
  std::set<int64_t> decodes_;   ///< sequences that decoded and did not end
  std::vector<ArrivedToken> chosen_;
  size_t added_ = 0;
  int64_t next_id_ = 0;
};

inline void FakePipeline::add_next() {
  const FakeRequest& request = requests_[added_];
  SequenceRequest r;
  r.tokens = request.prompt;
  r.max_tokens = request.max_tokens;
  r.expected_tokens = request.expected_tokens;
  r.start.sequence = static_cast<int64_t>(added_++);
  scheduler_.add(std::move(r));
}

/// Ranges with their blocks; which of them are prefill: those of sequences that started and were
/// not sampled since.
inline FakePipeline::Sent FakePipeline::check_ranges(const Step& step) {
  Sent facts{};
  std::set<int64_t> sequences;
  std::map<int32_t, int64_t> owner;
  size_t table = 0;
  for (const SequenceStart& start : step.starts) prefills_.insert(start.sequence);
  for (const StepRange& range : step.ranges) {
    EXPECT_TRUE(sequences.insert(range.sequence).second) << "two ranges of one sequence";
    EXPECT_GT(range.rows, 0);
    EXPECT_GE(int64_t{range.blocks} * config_.kv_block_tokens, range.position + range.rows);
    const bool prefill = prefills_.count(range.sequence) > 0;
    EXPECT_TRUE(prefill || facts.chunk_rows == 0) << "decode rows come first";
    EXPECT_TRUE(prefill || (range.rows == 1 && range.sample));
    (prefill ? facts.chunk_rows : facts.decode_rows) += range.rows;
    facts.samples += range.sample;
    if (!prefill) decodes_.insert(range.sequence);
    if (range.sample) prefills_.erase(range.sequence);
    for (int32_t i = 0; i < range.blocks; ++i) {
      const int32_t block = step.block_table.at(table++);
      EXPECT_TRUE(block >= 0 && block < config_.kv_blocks) << block;
      EXPECT_TRUE(owner.emplace(block, range.sequence).second) << "block " << block << " twice";
    }
  }
  EXPECT_EQ(table, step.block_table.size());
  return facts;
}

inline void FakePipeline::check_limits(const Step& step) {
  EXPECT_EQ(step.id, next_id_++);
  for (int64_t sequence : step.ends) decodes_.erase(sequence), prefills_.erase(sequence);
  EXPECT_TRUE(config_.mix != Mix::kSeparated || step.kind != StepKind::kPrefill || decodes_.empty())
      << "prefill before the wave's end";
  Sent facts = check_ranges(step);
  facts.kind = step.kind;
  facts.lane = step.lane;
  EXPECT_LE(facts.chunk_rows, config_.prefill_tokens);
  EXPECT_LE(facts.decode_rows, config_.decode_batch);
  EXPECT_LE(step.rows(), max_step_rows(config_));
  EXPECT_LE(facts.samples, max_step_samples(config_));
  EXPECT_EQ(step.rows(), facts.chunk_rows + facts.decode_rows);
  EXPECT_EQ(step.kind, facts.chunk_rows == 0    ? StepKind::kDecode
                       : facts.decode_rows == 0 ? StepKind::kPrefill
                                                : StepKind::kMixed);
  EXPECT_TRUE(config_.mix == Mix::kMixed || step.kind != StepKind::kMixed);
  EXPECT_EQ(step.lane >= 0, facts.decode_rows > 0);
  check_company(step);
  const SchedulerCounts counts = scheduler_.counts();
  facts.waiting = counts.waiting;
  facts.decoding = counts.decoding;
  facts.free_blocks = counts.free_blocks;
  sent.push_back(facts);
}

/// The step beside those that are under way.
inline void FakePipeline::check_company(const Step& step) {
  const size_t limit = static_cast<size_t>(
      config_.chunks_in_flight > 0 ? config_.chunks_in_flight : config_.lanes + config_.stages);
  size_t chunks = step.kind != StepKind::kDecode;
  for (const Step& other : under_way_) {
    chunks += other.kind != StepKind::kDecode;
    EXPECT_TRUE(step.lane < 0 || other.lane != step.lane) << "lane " << step.lane << " sent twice";
    EXPECT_TRUE(config_.mix != Mix::kSeparated || other.kind == step.kind) << "phases mixed";
  }
  EXPECT_TRUE(step.kind == StepKind::kDecode || chunks <= limit) << chunks << " chunks";
  EXPECT_TRUE(config_.mix != Mix::kMixed || under_way_.size() < static_cast<size_t>(config_.lanes));
}

inline bool FakePipeline::send_one() {
  auto step = scheduler_.next_step();
  if (!step) return false;
  check_limits(*step);
  under_way_.push_back(std::move(*step));
  return true;
}

inline std::vector<int32_t> FakePipeline::read_back(const Step& step, const StepRange& range,
                                                    size_t table) {
  std::vector<int32_t> tokens;
  const int32_t bt = config_.kv_block_tokens;
  for (int32_t p = 0; p < range.position + range.rows; ++p) {
    const int32_t block = step.block_table.at(table + static_cast<size_t>(p / bt));
    const Slot& slot = cache_.at(static_cast<size_t>(block * bt + p % bt));
    EXPECT_EQ(slot.sequence, range.sequence) << "block " << block << " was overwritten";
    EXPECT_EQ(slot.position, p);
    tokens.push_back(slot.token);
  }
  return tokens;
}

inline void FakePipeline::run_range(const Step& step, const StepRange& range, size_t row,
                                    size_t table) {
  const auto sampler = samplers_.find(range.sequence);
  ASSERT_NE(sampler, samplers_.end()) << "rows of a sequence that did not start";
  ASSERT_EQ(sampler->second.fed, range.position) << "rows out of order";
  sampler->second.fed += range.rows;
  const int32_t bt = config_.kv_block_tokens;
  for (int32_t i = 0; i < range.rows; ++i) {
    const int32_t p = range.position + i;
    const int32_t block = step.block_table.at(table + static_cast<size_t>(p / bt));
    cache_.at(static_cast<size_t>(block * bt + p % bt)) = {
        range.sequence, p, step.tokens[row + static_cast<size_t>(i)]};
  }
  if (!range.sample) return;
  auto& output = outputs_[static_cast<size_t>(range.sequence)];
  output.push_back(next_token(read_back(step, range, table)));
  const int32_t max_tokens = requests_[static_cast<size_t>(range.sequence)].max_tokens;
  chosen_.push_back({range.sequence, output.back(),
                     output.back() == 0 || static_cast<int32_t>(output.size()) == max_tokens});
}

inline void FakePipeline::take_one() {
  const Step step = std::move(under_way_.front());
  under_way_.pop_front();
  for (int64_t sequence : step.ends) ASSERT_EQ(samplers_.erase(sequence), 1u) << "ended twice";
  for (const SequenceStart& start : step.starts) {
    ASSERT_TRUE(samplers_.emplace(start.sequence, Sampler{}).second) << "started twice";
    ASSERT_EQ(start.prompt_tokens,
              static_cast<int64_t>(requests_[static_cast<size_t>(start.sequence)].prompt.size()));
  }
  chosen_.clear();
  size_t row = 0, table = 0;
  for (const StepRange& range : step.ranges) {
    run_range(step, range, row, table);
    if (::testing::Test::HasFailure()) return;
    row += static_cast<size_t>(range.rows);
    table += static_cast<size_t>(range.blocks);
  }
  scheduler_.arrived(step.id, chosen_);
}

inline void FakePipeline::run(std::mt19937* random) {
  if (!random)
    while (added_ < requests_.size()) add_next();
  for (int64_t turn = 0; added_ < requests_.size() || !scheduler_.idle(); ++turn) {
    ASSERT_LT(turn, 2000000) << "no end in sight";
    const uint32_t choice = random ? (*random)() % 8 : 0;
    if (random && added_ < requests_.size() && (choice == 7 || scheduler_.idle())) {
      add_next();
    } else if (choice < 4 && send_one()) {
      continue;
    } else if (!under_way_.empty()) {
      take_one();
    } else if (choice < 4) {
      ASSERT_LT(added_, requests_.size()) << "nothing can be sent and nothing is under way";
    }
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_EQ(scheduler_.counts().free_blocks, config_.kv_blocks);
}

}  // namespace llmpq
