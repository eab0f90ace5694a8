#include "commands/eval.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "base/log.hpp"
#include "commands/decide.hpp"
#include "commands/eval_divergence.hpp"
#include "commands/eval_report.hpp"
#include "commands/eval_tasks.hpp"
#include "commands/places.hpp"
#include "plan/describe.hpp"

namespace llmpq {
namespace {

/// The windows of the text file.
std::vector<ScoreWindow> read_windows(const Job& job, const Input& input) {
  const int64_t window = window_tokens(job, input);
  return make_windows(text_tokens(job, input), window,
                      job.stride.value_or(std::max<int64_t>(1, window / 2)));
}

/// Rank 0: what is scored. Where the job has no prompts, the plan is made for that.
void read_work(EvalWork& work) {
  if (!work.job.text.empty()) work.windows = read_windows(work.job, work.input);
  if (!work.job.tasks.empty()) work.tasks = read_tasks(work.job.tasks, work.job.chat);
  if (work.input.prompts) return;
  measure_windows(work.windows, work.input);
  if (!work.tasks.empty()) measure_tasks(work.job, work.tasks, work.input);
}

}  // namespace

int run_eval(const Job& job) {
  set_log_level(job.log_level);
  const Mpi mpi;
  check_places(mpi, job, Command::kEval);
  Input input = load_input(mpi, job);
  mpi.agreed([&] { check_reference(job, input); });
  const Machines machines = find_machines(mpi, job);
  EvalWork work{mpi, job, input, machines, {}, {}};
  mpi.agreed_on_long([&] {
    if (mpi.rank() == 0) read_work(work);
  });
  const bool as_generate = !job.prompts.empty();
  const Plan plan = decide(mpi, as_generate ? job : scoring_job(job), input, machines).plan;

  EvalReport report;
  report.formats = run_lengths(layer_formats(plan));
  report.promised = plan.figures;
  Reference reference;
  if (job.divergence) reference = score_reference(work, plan);
  std::optional<Comparison> comparison;
  if (reference.logits) comparison.emplace(*reference.logits, machines.report().threads);
  const ScoringRun run{.job = job,
                       .input = input,
                       .machines = machines,
                       .plan = plan,
                       .windows = work.windows,
                       .logits_observer = comparison ? &*comparison : nullptr};
  Share share = load_share(mpi, {.job = job, .input = input, .machines = machines, .plan = plan});
  if (!job.text.empty()) report.scores = score_windows(mpi, share, run);
  if (!job.tasks.empty()) report.outcomes = answer_tasks(work, share, plan);
  if (mpi.rank() != 0) return 0;
  report.reference = std::move(reference.scores);
  report.tasks = std::move(work.tasks);
  const std::string text = job.json ? to_json(report) + "\n" : describe(report);
  fmt::print("{}", text);
  return 0;
}

}  // namespace llmpq
