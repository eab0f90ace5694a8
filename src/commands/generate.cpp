#include "commands/generate.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.hpp"
#include "base/log.hpp"
#include "base/timer.hpp"
#include "commands/decide.hpp"
#include "commands/output_job.hpp"
#include "commands/prepare.hpp"
#include "commands/save_events.hpp"
#include "commands/share.hpp"
#include "kernels/check.hpp"
#include "output/progress.hpp"
#include "output/publish.hpp"
#include "output/report.hpp"
#include "pipeline/driver.hpp"
#include "plan/plan_json.hpp"

namespace llmpq {
namespace {

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

/// What rank 0 finds at the output's place; the same on every rank. Collective.
OutputState find_output(const Mpi& mpi, const Job& job) {
  auto state = OutputState::kFresh;
  mpi.agreed([&] {
    if (mpi.rank() == 0) state = check_output(output_path(job), job.overwrite, job.resume);
  });
  const std::string complete = mpi.broadcast(state == OutputState::kComplete ? "complete" : "");
  return complete.empty() ? state : OutputState::kComplete;
}

DriverSetup driver_setup(const Job& job, const Input& input, const Plan& plan, int32_t plan_index) {
  DriverSetup setup;
  setup.scheduler = scheduler_config(plan);
  setup.window = job.prompt_window;
  setup.num_samples = job.num_samples;
  setup.plan_index = plan_index;
  setup.expected_output_tokens = job.expected_output_tokens.value_or(0);
  setup.timeout_s = static_cast<double>(job.timeout);
  setup.eos_token_ids = input.checkpoint->config().eos_token_ids;
  return setup;
}

/// Rank 0's part of the run: the prompts in, the rows out.
DriverCounts drive(const Mpi& mpi, const Job& job, const Input& input, const Plan& plan,
                   OutputJob& output, Share& share, Timeline* timeline) {
  Bell bell;
  FeedSetup feed_setup = input.feed;
  feed_setup.is_done = [&](int64_t row, int32_t sample) {
    return output.journal->is_done(row, sample);
  };
  const int32_t plan_index = output.journal->add_plan(to_json(plan));
  const JournalCounts before = output.journal->counts();
  Feed feed(*input.prompts, input.tokenizer_or_null(), feed_setup);
  IoThread io(feed, *output.journal, job.prompt_window, bell, timeline);
  Driver driver(driver_setup(job, input, plan, plan_index),
                make_driver_links(mpi, plan.pipelines[0]), input.tokenizer_or_null(), io);
  Progress progress(before.rows, before.done);
  const auto tick = [&] {
    const CommittedCounts& committed = io.committed();
    progress.update({.rows_done = before.done + committed.rows,
                     .rows_failed = before.failed + committed.failed,
                     .prompt_tokens = driver.counts().prefill_rows,
                     .output_tokens = driver.counts().output_tokens});
  };
  run_share(mpi, share, plan,
            {.bell = bell, .conductor = &driver, .tick = tick, .timeline = timeline});
  io.close();
  tick();
  progress.finish();
  return driver.counts();
}

}  // namespace

int run_generate(const Job& job) {
  set_log_level(job.log_level);
  const std::string started = utc_now();
  const Mpi mpi;
  const OutputState state = find_output(mpi, job);
  if (state == OutputState::kComplete) {
    if (mpi.rank() == 0) log_info("{} is complete: nothing to do", output_path(job).string());
    return 0;
  }

  const Input input = load_input(mpi, job);
  OutputJob output;
  Job kept = job;
  mpi.agreed([&] {
    if (mpi.rank() != 0) return;
    output = open_output(job, input, state);
    kept = keep_formats(job, output);
  });
  kept = with_formats_of_rank_0(mpi, std::move(kept));
  const Machines machines = find_machines(mpi, job);
  const Decision decision = decide(mpi, kept, input, machines);
  const Plan& plan = decision.plan;
  Share share = load_share(mpi, job, input, machines, plan);
  mpi.agreed([&] {
    if (mpi.rank() == 0) begin_output(job, input, plan, share.arithmetic, output);
  });

  Timeline timeline;
  timeline.rank = mpi.rank();
  timeline.with_operations = !job.trace.empty();
  Timeline* const wanted = wants_events(job) ? &timeline : nullptr;
  DriverCounts counts;
  Timer run_timer;
  mpi.barrier();
  const double origin_s = steady_seconds();
  or_abort(mpi, [&] {
    Bell bell;
    if (mpi.rank() == 0)
      counts = drive(mpi, job, input, plan, output, share, wanted);
    else
      run_share(mpi, share, plan,
                {.bell = bell, .conductor = nullptr, .tick = {}, .timeline = wanted});
  });
  const double run_s = run_timer.seconds();
  if (wanted) {
    const auto events = collect_events(mpi, timeline);
    save_events(mpi, job, {plan, events, origin_s, origin_s + run_s});
  }

  int code = 0;
  mpi.agreed([&] {
    if (mpi.rank() != 0) return;
    const JournalCounts rows = output.journal->counts();
    const nlohmann::json times{
        {"started", started}, {"ended", utc_now()}, {"load_s", share.load_s}, {"run_s", run_s}};
    publish(output.path, std::move(output.journal),
            {.text_as_bytes = job.text_layout == TextLayout::kBytes,
             .times = dump_json(times),
             .read_ids = [&](int64_t begin, int64_t count) {
               return input.prompts->read_ids(begin, count);
             }});
    Report report{output.path, rows, counts, share.load_s, run_s, {}};
    if (decision.predicted)
      report.promised_tokens_per_s = decision.predicted->output_tokens_per_s();
    print_report(job, report);
    if (job.strict && rows.failed > 0) code = static_cast<int>(Exit::kRowsFailed);
  });
  return std::stoi(mpi.broadcast(std::to_string(code)));
}

}  // namespace llmpq
