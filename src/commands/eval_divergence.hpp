// eval --divergence: the unquantized model's distributions of the text's tokens, kept on the disk
// of the rank that has the logits until the plan that is judged has made its own, and compared
// there: a token's divergence is all that travels.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "commands/eval_work.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "output/logits_file.hpp"

namespace llmpq {

/// What the unquantized model makes of the windows.
struct Reference {
  std::vector<WindowScore> scores;   ///< rank 0's
  std::optional<LogitsFile> logits;  ///< of all scored tokens in order, on the judged last rank
};

/// Error(kUsage) where --divergence is wanted of a checkpoint that is not the unquantized model.
void check_reference(const Job& job, const Input& input);

/// Loads the unquantized model over all ranks as they are placed best for it, scores the windows,
/// and gives its memory back. Its logits end on the rank that has the last stage of `judged`: where
/// that is another one than its own last rank, they are sent there afterwards. Collective.
/// Error(kNoPlan): it does not fit; Error(kOutput): its logits do not.
Reference score_reference(const EvalWork& work, const Plan& judged);

/// Compares the logits of scored tokens with the reference's, which come in the same order.
class Comparison : public LogitsObserver {
 public:
  /// `threads`: of the host; no result depends on it. `reference` must outlive it.
  Comparison(const LogitsFile& reference, int threads);
  void see_logits(std::span<const float> logits, StepResult& result) override;

 private:
  const LogitsFile& reference_;
  ThreadPool pool_;
  std::vector<std::vector<float>> wanted_;  ///< [threads]: a row of the reference
  int64_t next_row_ = 0;
};

}  // namespace llmpq
