#include "pipeline/score.hpp"

#include <algorithm>
#include <utility>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Token by token, so that the sums do not depend on how a window was cut.
void add(const StepResult& result, WindowScore& score) {
  for (const float logprob : result.scores) score.log_likelihood += logprob;
  score.tokens += std::ssize(result.scores);
  for (const double nats : result.divergences) score.divergence += nats;
  for (const uint8_t same : result.same_tops) score.same_top += same;
}

}  // namespace

std::vector<ScoreWindow> make_windows(std::span<const int32_t> tokens, int64_t window,
                                      int64_t stride) {
  CHECK(stride >= 1 && stride < window, Exit::kUsage,
        "--stride {}: want 1 to {}, less than --window {}", stride, window - 1, window);
  std::vector<ScoreWindow> windows;
  const auto count = static_cast<int64_t>(tokens.size());
  for (int64_t begin = 0, scored = 1; scored < count; begin += stride) {
    const int64_t end = std::min(begin + window, count);
    windows.push_back({{tokens.begin() + begin, tokens.begin() + end}, scored - begin});
    scored = end;
  }
  return windows;
}

Scorer::Scorer(const SchedulerConfig& config, DriverLinks links,
               const std::vector<ScoreWindow>& windows)
    : config_(config),
      links_(std::move(links)),
      windows_(windows),
      scores_(windows.size()),
      chunk_rows_(std::min(config.prefill_tokens, max_step_samples(config))) {
  size_t longest = 1;
  for (const ScoreWindow& window : windows) longest = std::max(longest, window.tokens.size());
  blocks_per_window_ = ceil_divide(static_cast<int64_t>(longest), config.kv_block_tokens);
  CHECK(blocks_per_window_ <= config.kv_blocks, Exit::kNoPlan,
        "a window of {} tokens needs {} KV blocks, the plan has {}: --window makes it shorter",
        longest, blocks_per_window_, config.kv_blocks);
  // One window more than stages keeps all stages busy; blocks limit it.
  const int64_t slots = std::min<int64_t>(config.kv_blocks / blocks_per_window_, config.stages + 1);
  for (int32_t slot = 0; slot < slots; ++slot) free_slots_.push_back(slot);
}

bool Scorer::poll() {
  const bool moved = receive() | send_next();
  if (!stopped_ && next_window_ == windows_.size() && under_way_.empty()) {
    links_.start({});
    stopped_ = true;
  }
  sending_ = links_.finish();
  return moved;
}

Step Scorer::chunk_of(size_t window, int32_t slot, int64_t position, int64_t rows) {
  const ScoreWindow& source = windows_[window];
  const auto begin = source.tokens.begin() + position;
  Step step;
  step.id = next_step_++;
  step.tokens.assign(begin, begin + rows);
  for (int64_t next = position + 1; next <= position + rows; ++next) {
    const bool scored =
        next >= source.scored_from && next < static_cast<int64_t>(source.tokens.size());
    step.targets.push_back(scored ? source.tokens[static_cast<size_t>(next)] : -1);
  }
  const auto blocks = static_cast<int32_t>(ceil_divide(position + rows, config_.kv_block_tokens));
  for (int32_t block = 0; block < blocks; ++block)
    step.block_table.push_back(static_cast<int32_t>(slot * blocks_per_window_ + block));
  step.ranges.push_back({static_cast<int64_t>(window), static_cast<int32_t>(rows),
                         static_cast<int32_t>(position), blocks, false});
  return step;
}

bool Scorer::send_next() {
  bool moved = false;
  while (next_window_ < windows_.size()) {
    if (next_position_ == 0) {
      if (free_slots_.empty()) break;
      slot_ = free_slots_.front();
      free_slots_.pop_front();
    }
    send_chunk();
    moved = true;
  }
  return moved;
}

void Scorer::send_chunk() {
  const auto size = static_cast<int64_t>(windows_[next_window_].tokens.size());
  const int64_t rows = std::min(chunk_rows_, size - next_position_);
  links_.start(pack(chunk_of(next_window_, slot_, next_position_, rows)));
  next_position_ += rows;
  const bool last = next_position_ == size;
  under_way_.push_back({next_window_, slot_, last});
  if (!last) return;
  next_position_ = 0;
  ++next_window_;
}

bool Scorer::receive() {
  bool moved = false;
  links_.results->post();
  while (auto message = links_.results->take()) {
    const StepResult result = unpack_result(*message);
    CHECK(!under_way_.empty(), Exit::kInternal, "step {} came back twice", result.id);
    const UnderWay chunk = under_way_.front();
    under_way_.pop_front();
    add(result, scores_[chunk.window]);
    if (chunk.last) free_slots_.push_back(chunk.slot);
    moved = true;
  }
  return moved;
}

}  // namespace llmpq
