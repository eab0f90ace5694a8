#include "commands/eval.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "commands/prepare.hpp"
#include "commands/share.hpp"
#include "kernels/check.hpp"
#include "pipeline/score.hpp"
#include "plan/describe.hpp"

namespace llmpq {
namespace {

constexpr int64_t kLongestText = int64_t{1} << 30;

/// Rank 0: the windows of the text file.
std::vector<ScoreWindow> read_windows(const Job& job, const Input& input) {
  CHECK(input.tokenizer, Exit::kModel, "{}: eval needs the model's tokenizer.json",
        job.model.string());
  const int64_t window = job.window.value_or(input.max_model_len);
  CHECK(window >= 2 && window <= input.max_model_len, Exit::kUsage,
        "--window {}: want 2 to {}, the context", window, input.max_model_len);
  const std::string text = read_file(job.text, kLongestText, Exit::kPrompts);
  const std::vector<int32_t> tokens = input.tokenizer->encode(text);
  CHECK(tokens.size() >= 2, Exit::kPrompts, "{}: {} tokens, want at least 2 to score one",
        job.text.string(), tokens.size());
  return make_windows(tokens, window, job.stride.value_or(std::max<int64_t>(1, window / 2)));
}

/// The job as eval plans it: every row of a chunk may be scored, so the head must have room for a
/// whole chunk, which is what the planner knows as a decode batch.
Job scoring_job(const Job& job) {
  Job scoring = job;
  scoring.prefill_tokens = job.prefill_tokens.value_or(128);
  scoring.decode_batch = scoring.prefill_tokens;
  scoring.lanes = 1;
  return scoring;
}

/// exp of the mean negative log-likelihood of a token.
double perplexity(double log_likelihood, int64_t tokens) {
  return std::exp(-log_likelihood / static_cast<double>(tokens));
}

/// Standard error of the perplexity, from the spread of the windows' means (delta method).
double standard_error(const std::vector<WindowScore>& scores, double mean, int64_t tokens) {
  if (scores.size() < 2) return 0;
  double sum = 0;
  for (const WindowScore& s : scores) {
    const double excess = s.log_likelihood - mean * static_cast<double>(s.tokens);
    sum += excess * excess;
  }
  const auto n = static_cast<double>(scores.size());
  return std::exp(-mean) * std::sqrt(sum * n / (n - 1)) / static_cast<double>(tokens);
}

void print_scores(const Job& job, const Plan& plan, const std::vector<WindowScore>& scores) {
  double log_likelihood = 0;
  int64_t tokens = 0;
  nlohmann::json windows = nlohmann::json::array();
  for (const WindowScore& score : scores) {
    log_likelihood += score.log_likelihood;
    tokens += score.tokens;
    windows.push_back({score.tokens, score.log_likelihood});
  }
  const double value = perplexity(log_likelihood, tokens);
  const double error = standard_error(scores, log_likelihood / static_cast<double>(tokens), tokens);
  const std::string formats = run_lengths(layer_formats(plan));
  if (!job.json) {
    fmt::print("perplexity {:.5f} +- {:.5f} over {} tokens in {} windows ({})\n", value, error,
               tokens, scores.size(), formats);
    return;
  }
  const nlohmann::ordered_json json{{"perplexity", value},     {"tokens", tokens},
                                    {"standard_error", error}, {"log_likelihood", log_likelihood},
                                    {"formats", formats},      {"windows", windows}};
  fmt::print("{}\n", dump_json(json));
}

}  // namespace

int run_eval(const Job& job) {
  set_log_level(job.log_level);
  const Mpi mpi;
  Input input = load_input(mpi, job);
  std::vector<ScoreWindow> windows;
  mpi.agreed([&] {
    if (mpi.rank() != 0) return;
    windows = read_windows(job, input);
    input.lengths.rows = static_cast<int64_t>(windows.size());
    input.lengths.longest_sequence = static_cast<int64_t>(windows.front().tokens.size());
  });
  const Machines machines = find_machines(mpi, job);
  const Plan plan = decide(mpi, scoring_job(job), input, machines);
  Share share = load_share(mpi, job, input, machines, plan);
  or_abort(mpi, [&] {
    Bell bell;
    std::optional<Scorer> scorer;
    if (mpi.rank() == 0)
      scorer.emplace(scheduler_config(plan), make_driver_links(mpi, plan.pipelines[0]), windows);
    run_share(
        mpi, share, plan,
        {.bell = bell, .conductor = scorer ? &*scorer : nullptr, .tick = {}, .timeline = nullptr});
    if (scorer) print_scores(job, plan, scorer->scores());
  });
  return 0;
}

}  // namespace llmpq
