#include "commands/eval.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/log.hpp"
#include "commands/decide.hpp"
#include "commands/scoring.hpp"
#include "plan/describe.hpp"

namespace llmpq {
namespace {

/// Rank 0: the windows of the text file.
std::vector<ScoreWindow> read_windows(const Job& job, const Input& input) {
  const int64_t window = window_tokens(job, input);
  return make_windows(text_tokens(job, input), window,
                      job.stride.value_or(std::max<int64_t>(1, window / 2)));
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
  const auto [log_likelihood, tokens] = total(scores);
  nlohmann::json windows = nlohmann::json::array();
  for (const WindowScore& score : scores) windows.push_back({score.tokens, score.log_likelihood});
  const double mean = log_likelihood / static_cast<double>(tokens);
  const double value = std::exp(-mean), error = standard_error(scores, mean, tokens);
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
    measure_windows(windows, input);
  });
  const Machines machines = find_machines(mpi, job);
  const Plan plan = decide(mpi, scoring_job(job), input, machines).plan;
  const auto scores = score_windows(mpi, {.job = job,
                                          .input = input,
                                          .machines = machines,
                                          .plan = plan,
                                          .windows = windows,
                                          .observer = nullptr});
  if (mpi.rank() == 0) print_scores(job, plan, scores);
  return 0;
}

}  // namespace llmpq
