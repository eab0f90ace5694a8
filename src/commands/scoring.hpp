// Scoring texts under a plan: what eval and sensitivity do alike.
#pragma once

#include <cstdint>
#include <vector>

#include "base/estimate.hpp"
#include "base/mpi.hpp"
#include "commands/machines.hpp"
#include "commands/prepare.hpp"
#include "commands/share.hpp"
#include "layer/observer.hpp"
#include "pipeline/score.hpp"
#include "stage/logits_observer.hpp"

namespace llmpq {

/// Tokens of a window, as --window says. Error(kUsage).
int64_t window_tokens(const Job& job, const Input& input);
/// The tokens of --text; at least two. Error(kPrompts), or (kModel) without a tokenizer.
std::vector<int32_t> text_tokens(const Job& job, const Input& input);

/// The job as a scoring run plans it: every row of a chunk may be scored, so the head must have
/// room for a whole chunk, which is what the planner knows as a decode batch.
Job scoring_job(const Job& job);
/// The same with formats of its own, one for all layers or one for each; whatever else says how
/// layers are placed or rounded is left out.
Job scoring_job(const Job& job, std::vector<Format> formats);
/// Tells the planner what the windows ask for: called on rank 0 before decide().
void measure_windows(const std::vector<ScoreWindow>& windows, Input& input);

/// A plan to score windows with. `windows` are rank 0's; the observers see what this rank's stage
/// does and may be null.
struct ScoringRun {
  const Job& job;
  const Input& input;
  const Machines& machines;
  const Plan& plan;
  const std::vector<ScoreWindow>& windows;
  LayerObserver* observer = nullptr;
  LogitsObserver* logits_observer = nullptr;
};
/// Loads the plan's layers, scores, and gives the memory back. The scores by window on rank 0,
/// nothing elsewhere. Collective; what fails during the run ends all ranks.
std::vector<WindowScore> score_windows(const Mpi& mpi, const ScoringRun& run);
/// The same with a share of the plan that is loaded already.
std::vector<WindowScore> score_windows(const Mpi& mpi, Share& share, const ScoringRun& run);

struct TotalScore {
  double log_likelihood = 0;
  int64_t tokens = 0;
  /// Of a token, in nats: the logarithm of the perplexity.
  double mean_loss() const { return -log_likelihood / static_cast<double>(tokens); }
};
TotalScore total(const std::vector<WindowScore>& scores);

/// A token's mean loss in nats; the windows are the groups of the error.
Estimate loss_of(const std::vector<WindowScore>& scores);
/// A token's mean loss over the one in `base`, the same windows: paired, so that what both find
/// hard is not taken for uncertainty.
Estimate loss_increase(const std::vector<WindowScore>& base,
                       const std::vector<WindowScore>& scores);

}  // namespace llmpq
