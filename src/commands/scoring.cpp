#include "commands/scoring.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "kernels/check.hpp"

namespace llmpq {
int64_t window_tokens(const Job& job, const Input& input) {
  const int64_t window = job.window.value_or(input.max_model_len);
  CHECK(window >= 2 && window <= input.max_model_len, Exit::kUsage,
        "--window {}: want 2 to {}, the context", window, input.max_model_len);
  return window;
}

std::vector<int32_t> text_tokens(const Job& job, const Input& input) {
  return file_tokens(job, input, {job.text, "a text", "to score one"});
}

Job scoring_job(const Job& job) {
  Job scoring = job;
  scoring.prefill_tokens = job.prefill_tokens.value_or(128);
  scoring.decode_batch = scoring.prefill_tokens;
  scoring.lanes = 1;
  return scoring;
}

Job scoring_job(const Job& job, std::vector<Format> formats) {
  Job scoring = scoring_job(job);
  scoring.plan.clear();
  scoring.save_plan.clear();
  scoring.save_problem.clear();
  scoring.strategy = Strategy::kJoint;
  scoring.mix = Job{}.mix;
  scoring.theta.reset();
  scoring.average_bits.reset();
  scoring.max_perplexity_increase.clear();
  scoring.format = std::move(formats);
  return scoring;
}

void measure_windows(const std::vector<ScoreWindow>& windows, Input& input) {
  size_t longest = 0;
  for (const ScoreWindow& window : windows) longest = std::max(longest, window.tokens.size());
  input.lengths.rows = static_cast<int64_t>(windows.size());
  input.lengths.longest_sequence = static_cast<int64_t>(longest);
  input.lengths.seen.clear();  // nothing is generated: there are no times to plan by
}

std::vector<WindowScore> score_windows(const Mpi& mpi, const ScoringRun& run) {
  Share share = load_share(
      mpi, {.job = run.job, .input = run.input, .machines = run.machines, .plan = run.plan});
  return score_windows(mpi, share, run);
}

std::vector<WindowScore> score_windows(const Mpi& mpi, Share& share, const ScoringRun& run) {
  if (share.stage) {
    share.stage->observe(run.observer);
    share.stage->observe_logits(run.logits_observer);
  }
  std::vector<WindowScore> scores;
  or_abort(mpi, [&] {
    Bell bell;
    std::optional<Scorer> scorer;
    if (mpi.rank() == 0)
      scorer.emplace(scheduler_config(run.plan), make_driver_links(mpi, run.plan.pipelines[0]),
                     run.windows);
    run_share(
        mpi, share, run.plan,
        {.bell = bell, .conductor = scorer ? &*scorer : nullptr, .tick = {}, .timeline = nullptr});
    if (scorer) scores = scorer->scores();
  });
  return scores;
}

TotalScore total(const std::vector<WindowScore>& scores) {
  TotalScore sum;
  for (const WindowScore& score : scores) {
    sum.log_likelihood += score.log_likelihood;
    sum.tokens += score.tokens;
  }
  return sum;
}

Estimate loss_of(const std::vector<WindowScore>& scores) {
  std::vector<GroupSum> groups;
  for (const WindowScore& score : scores)
    groups.push_back({-score.log_likelihood, static_cast<double>(score.tokens)});
  return mean_of_groups(groups);
}

Estimate loss_increase(const std::vector<WindowScore>& base,
                       const std::vector<WindowScore>& scores) {
  std::vector<GroupSum> groups;
  for (size_t i = 0; i < base.size(); ++i)
    groups.push_back(
        {base[i].log_likelihood - scores[i].log_likelihood, static_cast<double>(base[i].tokens)});
  return mean_of_groups(groups);
}

}  // namespace llmpq
