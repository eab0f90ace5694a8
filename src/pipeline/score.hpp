// How likely the model finds a text, over the same stages and links as a generate job: so the plan
// that runs is what is judged. Rank 0's side, on the MPI thread.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "pipeline/conductor.hpp"
#include "pipeline/links.hpp"
#include "schedule/scheduler.hpp"

namespace llmpq {

/// A stretch of text that is computed on its own: tokens from `scored_from` on are scored, those
/// before are context.
struct ScoreWindow {
  std::vector<int32_t> tokens;
  int64_t scored_from = 1;
};

/// What came out for one window, summed over its scored tokens.
struct WindowScore {
  double log_likelihood = 0;  ///< natural
  int64_t tokens = 0;
  // Where the last stage has another model's distributions to compare with (LogitsObserver):
  double divergence = 0;  ///< nats
  int64_t same_top = 0;   ///< tokens for which both find the same one the likeliest
};

/// Windows of at most `window` tokens that begin every `stride` tokens; each token is scored once,
/// with as much context as its first window gives it, but for the first token of all.
/// 1 <= stride < window or Error(kUsage).
std::vector<ScoreWindow> make_windows(std::span<const int32_t> tokens, int64_t window,
                                      int64_t stride);

class Scorer : public Conductor {
 public:
  /// Windows must fit into the pipeline's blocks one by one; as many as fit are under way at once.
  /// All stages see windows in order, and the tokens of a window in order.
  Scorer(const SchedulerConfig& config, DriverLinks links, const std::vector<ScoreWindow>& windows);

  bool poll() override;
  bool done() const override { return stopped_ && sending_ == 0; }
  /// By window, complete when done().
  const std::vector<WindowScore>& scores() const { return scores_; }

 private:
  bool send_next();
  void send_chunk();
  bool receive();
  Step chunk_of(size_t window, int32_t slot, int64_t position, int64_t rows);

  SchedulerConfig config_;
  DriverLinks links_;
  const std::vector<ScoreWindow>& windows_;
  std::vector<WindowScore> scores_;
  int64_t chunk_rows_;  ///< of a step: all its rows may be scored
  int64_t blocks_per_window_ = 0;
  std::deque<int32_t> free_slots_;  ///< ranges of blocks, one per window under way
  struct UnderWay {
    size_t window;
    int32_t slot;
    bool last;  ///< chunk of its window
  };
  std::deque<UnderWay> under_way_;  ///< steps in the order in which they come back
  size_t next_window_ = 0;          ///< the one whose chunks are being sent
  int64_t next_position_ = 0;       ///< in that window; 0: it has no slot yet
  int32_t slot_ = 0;                ///< that window's
  int64_t next_step_ = 0;
  int sending_ = 0;
  bool stopped_ = false;
};

}  // namespace llmpq
