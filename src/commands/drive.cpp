#include "commands/drive.hpp"

#include "output/progress.hpp"
#include "plan/plan_json.hpp"

namespace llmpq {
namespace {

/// When a run ends badly: a disk that does not answer must not keep it from ending.
constexpr double kSaveWithin_s = 10;

DriverSetup driver_setup(const DriveSetup& from, int32_t plan_index) {
  DriverSetup setup;
  setup.scheduler = scheduler_config(from.plan);
  setup.window = from.job.prompt_window;
  setup.num_samples = from.job.num_samples;
  setup.plan_index = plan_index;
  setup.expected_output_tokens = from.job.expected_output_tokens.value_or(0);
  setup.timeout_s = static_cast<double>(from.job.timeout);
  setup.eos_token_ids = from.input.checkpoint->config().eos_token_ids;
  setup.stop = [&watch = from.watch] { return watch.stop(); };
  setup.blame = [&watch = from.watch](int64_t step) { return watch.blame(step); };
  return setup;
}

}  // namespace

Driven drive(const Mpi& mpi, Share& share, const DriveSetup& setup) {
  Bell bell;
  FeedSetup feed_setup = setup.input.feed;
  feed_setup.is_done = [&](int64_t row, int32_t sample) {
    return setup.journal.is_done(row, sample);
  };
  const int32_t plan_index = setup.journal.add_plan(to_json(setup.plan));
  const JournalCounts before = setup.journal.counts();
  Feed feed(*setup.input.prompts, setup.input.tokenizer_or_null(), feed_setup);
  IoThread io(feed, setup.journal, setup.job.prompt_window, bell, setup.timeline);
  Driver driver(driver_setup(setup, plan_index), make_driver_links(mpi, setup.plan.pipelines[0]),
                setup.input.tokenizer_or_null(), io);
  Progress progress(before.rows, before.done, setup.slurm_end_s);
  if (setup.predicted) progress.expect(setup.predicted->seconds);
  const auto tell_progress = [&] {
    const CommittedCounts& committed = io.committed();
    progress.update({.rows_done = before.done + committed.rows,
                     .rows_failed = before.failed + committed.failed,
                     .prompt_tokens = driver.counts().prefill_rows,
                     .output_tokens = driver.counts().output_tokens});
  };
  const auto save = [&] { io.save(kSaveWithin_s); };
  setup.watch.save_with(save);
  run_share(mpi, share, setup.plan,
            {.bell = bell,
             .conductor = &driver,
             .tick =
                 [&](const Activity& mine) {
                   setup.watch.look(mine);
                   tell_progress();
                 },
             .timeline = setup.timeline,
             .on_error = [&](Exit) { save(); }});
  io.close();
  setup.watch.save_with({});
  tell_progress();
  progress.finish();
  return {driver.counts(), io.seconds().reading, io.seconds().writing};
}

}  // namespace llmpq
