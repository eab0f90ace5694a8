#include "commands/drive_requests.hpp"

namespace llmpq {

DriverCounts drive_requests(const Mpi& mpi, Share& share, const RequestRun& run) {
  Bell bell;
  IoThread io(run.feed, run.sink, run.job.prompt_window, bell, run.timeline);
  DriverSetup setup;
  setup.scheduler = scheduler_config(run.plan);
  setup.window = run.job.prompt_window;
  setup.timeout_s = static_cast<double>(run.job.timeout);
  setup.eos_token_ids = run.eos_token_ids;
  Driver driver(setup, make_driver_links(mpi, run.plan.pipelines[0]), run.tokenizer, io);
  run_share(mpi, share, run.plan,
            {.bell = bell, .conductor = &driver, .tick = {}, .timeline = run.timeline});
  io.close();
  return driver.counts();
}

}  // namespace llmpq
