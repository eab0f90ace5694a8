// How likely the model finds a text, over the same stages and links as a generate job: so the plan
// that runs is what is judged. Rank 0's side, on the MPI thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
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

/// What came out for one window: natural log-likelihood of its scored tokens.
struct WindowScore {
  double log_likelihood = 0;
  int64_t tokens = 0;
};

/// Windows of at most `window` tokens that begin every `stride` tokens; each token is scored once,
/// with as much context as its first window gives it, but for the first token of all.
/// 1 <= stride < window or Error(kUsage).
std::vector<ScoreWindow> make_windows(std::span<const int32_t> tokens, int64_t window,
                                      int64_t stride);

/// Who wants to see the distributions themselves. Called on the MPI thread with logits [rows,
/// vocab] of the next scored tokens: windows in order, tokens in order.
struct LogitsWish {
  std::function<void(size_t window, std::span<const float> logits)> take;  ///< empty: nobody
  int64_t vocab = 0;
};

class Scorer : public Conductor {
 public:
  /// Windows must fit into the pipeline's blocks one by one; as many as fit are under way at once.
  /// Where logits are wanted, chunks are small and few under way, so that memory stays bounded:
  /// some 16 MiB of logits for each stage, and for two chunks more.
  Scorer(const SchedulerConfig& config, DriverLinks links, const std::vector<ScoreWindow>& windows,
         LogitsWish logits = {});

  bool poll() override;
  bool transferring() const override { return logits_.take && links_.results->under_way() > 0; }
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
  LogitsWish logits_;
  std::vector<WindowScore> scores_;
  int64_t chunk_rows_;      ///< of a step: all its rows may be scored
  int64_t most_under_way_;  ///< steps
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
