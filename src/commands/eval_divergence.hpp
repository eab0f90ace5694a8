// eval --divergence: the unquantized model's distributions of the text's tokens, kept until the
// plan that is judged has made its own.
#pragma once

#include <optional>
#include <vector>

#include "commands/eval_work.hpp"
#include "output/logits_file.hpp"

namespace llmpq {

/// What the unquantized model makes of the windows; rank 0's.
struct Reference {
  std::vector<WindowScore> scores;
  std::optional<LogitsFile> logits;  ///< of all scored tokens in order
};

/// Error(kUsage) where --divergence is wanted of a checkpoint that is not the unquantized model.
void check_reference(const Job& job, const Input& input);

/// Loads the unquantized model over all ranks as they are placed best for it, scores the windows,
/// and gives its memory back. Collective. Error(kNoPlan): it does not fit; Error(kOutput): its
/// logits do not.
Reference score_reference(const EvalWork& work);

/// Sums over the scored tokens of a window.
struct WindowDivergence {
  double nats = 0;
  int64_t same_top = 0;
};

/// Compares logits with the reference's as they come; `divergence` [windows] is filled. Both must
/// live as long as the run.
LogitsWish compare_with(Reference& reference, std::vector<WindowDivergence>& divergence,
                        int64_t vocab);

}  // namespace llmpq
