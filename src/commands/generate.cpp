#include "commands/generate.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <ctime>
#include <optional>

#include "base/launcher.hpp"
#include "base/log.hpp"
#include "base/signals.hpp"
#include "base/timer.hpp"
#include "commands/decide.hpp"
#include "commands/drive.hpp"
#include "commands/output_job.hpp"
#include "commands/places.hpp"
#include "commands/prepare.hpp"
#include "commands/rows_left.hpp"
#include "commands/save_events.hpp"
#include "commands/share.hpp"
#include "commands/watch.hpp"

namespace llmpq {
namespace {

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

/// What rank 0 finds at the output's place; the same on every rank. Collective.
OutputState find_output(const Mpi& mpi, const Job& job) {
  auto state = OutputState::kFresh;
  mpi.agreed([&] {
    if (mpi.rank() != 0) return;
    check_places(job, Command::kGenerate);
    state = check_output(output_path(job), wishes_of(job));
  });
  const std::string complete = mpi.broadcast(state == OutputState::kComplete ? "complete" : "");
  return complete.empty() ? state : OutputState::kComplete;
}

/// Lets the plan be made for the rows that are left, with outputs as long as those that are there.
void plan_for_the_rest(const Journal& journal, Input& input, Job& job) {
  input.lengths = lengths_left(std::move(input.lengths), journal);
  if (!job.expected_output_tokens) job.expected_output_tokens = mean_output(journal.counts());
}

}  // namespace

int run_generate(const Job& job) {
  set_log_level(job.log_level);
  catch_stop_signals();
  const std::string started = utc_now();
  const auto slurm_end = is_first_rank() ? slurm_end_s() : std::nullopt;
  Mpi mpi;
  const OutputState state = find_output(mpi, job);
  if (state == OutputState::kComplete) {
    if (mpi.rank() == 0) accept_output(job);
    return 0;
  }

  Watch watch(mpi, job);
  Input input = load_input(mpi, job);
  OutputJob output;
  mpi.agreed_on_long([&] {
    if (mpi.rank() == 0) output = open_output(job, input, state);
  });
  Job kept = keep_formats(mpi, job, output);
  if (output.continued) plan_for_the_rest(*output.journal, input, kept);
  const Machines machines = find_machines(mpi, job);
  const Decision decision = decide(mpi, kept, input, machines);
  const Plan& plan = decision.plan;
  watch.set_plan(plan);
  Share share = load_share(
      mpi, {.job = job, .input = input, .machines = machines, .plan = plan, .before_layer = [&] {
              watch.check_not_stopped();
            }});
  mpi.agreed([&] {
    if (mpi.rank() == 0) begin_output(job, input, plan, share.arithmetic, output);
  });

  Timeline timeline;
  timeline.rank = mpi.rank();
  timeline.with_operations = !job.trace.empty();
  Timeline* const wanted = wants_events(job) ? &timeline : nullptr;
  Driven driven;
  Timer run_timer;
  mpi.barrier();
  const double origin_s = steady_seconds();
  or_abort(mpi, [&] {
    Bell bell;
    if (mpi.rank() == 0)
      driven = drive(mpi, share,
                     {.job = job,
                      .input = input,
                      .plan = plan,
                      .predicted = decision.predicted,
                      .journal = *output.journal,
                      .watch = watch,
                      .slurm_end_s = slurm_end,
                      .timeline = wanted});
    else
      run_share(mpi, share, plan,
                {.bell = bell,
                 .tick = [&](const Activity& mine) { watch.look(mine); },
                 .timeline = wanted,
                 .on_error = [&](Exit code) { watch.tell_failed(code); }});
  });
  RunTimes times{started, utc_now(), share.load_s, run_timer.seconds(), plan.figures.strategy, {}};
  if (decision.predicted) times.promised_tokens_per_s = decision.predicted->output_tokens_per_s();

  int code = 0;
  mpi.agreed_on_long([&] {
    if (mpi.rank() == 0) code = finish_output(job, input, output, driven, times);
  });
  if (wanted) {  // after the output, which must not depend on them
    const auto events = collect_events(mpi, timeline);
    save_events(mpi, job, {plan, events, origin_s, origin_s + times.run_s});
  }
  return std::stoi(mpi.broadcast(std::to_string(code)));
}

}  // namespace llmpq
