#include "pipeline/run.hpp"

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>

#include "base/timer.hpp"

namespace llmpq {
namespace {

// A message is looked for every 20 us while things move; after an idle while every half
// millisecond. The bell ends the wait at once when the rank's own threads have something. While
// activations or logits are on their way, Open MPI moves some fragments of 32 KiB with each call:
// sleeping longer would be what limits their speed, and Linux's usual 50 us of slack as well.
constexpr int kTransferSleep_us = 5;
constexpr unsigned long kTimerSlack_ns = 1000;
constexpr int kShortestSleep_us = 20;
constexpr int kLongestSleep_us = 500;
constexpr double kTickInterval_s = 0.1;

}  // namespace

void run_loop(Worker* worker, Conductor* conductor, Bell& bell,
              const std::function<void(const Activity&)>& tick) {
  prctl(PR_SET_TIMERSLACK, kTimerSlack_ns);  // of this thread; a refusal costs only speed
  int sleep_us = kShortestSleep_us;
  Timer since_tick;
  while (!((!worker || worker->done()) && (!conductor || conductor->done()))) {
    bool moved = false;
    if (worker) moved |= worker->poll();
    if (conductor) moved |= conductor->poll();
    if (tick && since_tick.seconds() > kTickInterval_s) {
      tick(worker ? worker->activity() : Activity{});
      since_tick.restart();
    }
    if (moved) {
      sleep_us = kShortestSleep_us;
      continue;
    }
    if ((worker && worker->transferring()) || (conductor && conductor->transferring())) {
      bell.wait(std::chrono::microseconds(kTransferSleep_us));
      continue;
    }
    bell.wait(std::chrono::microseconds(sleep_us));
    sleep_us = std::min(sleep_us * 5 / 4 + 1, kLongestSleep_us);
  }
}

}  // namespace llmpq
