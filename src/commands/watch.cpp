#include "commands/watch.hpp"

#include <chrono>
#include <thread>
#include <utility>

#include "base/log.hpp"
#include "base/timer.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// Rank 0 looks around ten times a second, and saves within ten.
constexpr double kLongestEnd_s = 15;
constexpr auto kLookInterval = std::chrono::milliseconds(10);

WatchSetup watch_setup(const Mpi& mpi, const Job& job) {
  return {.rank = mpi.rank(),
          .hosts = mpi.all_gather(mpi.host()),
          .timeout_s = static_cast<double>(job.timeout),
          .grace_s = static_cast<double>(job.grace)};
}

}  // namespace

Watch::Watch(Mpi& mpi, const Job& job)
    : mpi_(mpi),
      grace_s_(job.grace),
      watchdog_(watch_setup(mpi, job), make_watch_links(mpi), steady_seconds()) {
  mpi_.while_waiting([this] { look(mine_); });
}

Watch::~Watch() { mpi_.while_waiting({}); }

void Watch::look(const Activity& mine) {
  mine_ = mine;
  if (const auto lost = watchdog_.poll(steady_seconds(), mine, signals_seen())) give_up(*lost);
  if (const auto& failed = watchdog_.failed()) end_after(*failed);
  const Stop now = stop();
  if (mpi_.rank() != 0 || now == told_) return;
  if (now == Stop::kNow)
    log_warning("stopping at once; finished rows are saved");
  else if (watchdog_.is_end())
    log_warning(
        "{} by mpirun, which ends all ranks now, because one of them died or it was stopped "
        "itself: finished rows are saved, --resume goes on",
        watchdog_.asked());
  else
    log_warning(
        "{}: no new prompts; those that run have {} s (--grace) to finish, then all is saved",
        watchdog_.asked(), grace_s_);
  told_ = now;
}

void Watch::check_not_stopped() const {
  CHECK(stop() == Stop::kNo, Exit::kStoppedEarly,
        "stopped by a signal before the first row of this run; all earlier ones are saved, "
        "--resume goes on");
}

void Watch::set_plan(const Plan& plan) {
  std::vector<int> stage_of_rank(static_cast<size_t>(mpi_.size()), -1);
  for (const StagePlan& stage : plan.pipelines.at(0).stages) {
    stage_of_rank.at(static_cast<size_t>(stage.ranks.at(0))) = static_cast<int>(pipeline_.size());
    pipeline_.push_back(stage.ranks.at(0));
  }
  watchdog_.set_stages(std::move(stage_of_rank));
}

void Watch::tell_failed(Exit code) {
  if (mpi_.rank() == 0) return;
  const Timer timer;
  try {
    while (timer.seconds() < kLongestEnd_s) {
      watchdog_.tell_failed(steady_seconds(), code);
      std::this_thread::sleep_for(kLookInterval);
    }
  } catch (const Error&) {
    // It may be MPI that has failed; the error itself is told already.
  }
}

void Watch::end_after(const FailedRank& failed) {
  if (save_) save_();
  log_warning("rank {} has failed, which ends the job: finished rows are saved", failed.rank);
  mpi_.abort(failed.code);
}

void Watch::give_up(const std::string& sentence) {
  if (save_) save_();
  print_error(sentence);
  mpi_.abort(Exit::kMpi);
}

}  // namespace llmpq
