#include "pipeline/run.hpp"

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>

#include "base/timer.hpp"

namespace llmpq {
namespace {

// A message is looked for every 20 us while things move, and ever more seldom while nothing does:
// each look takes some 15 us from the computing threads where they use all cores, and makes all of
// them wait for one. So a wait is prolonged by a sixteenth at most, or by half a millisecond. The
// bell ends the sleep at once when the rank's own threads have something, and a rank that is alone
// hears from nobody else: it soon stops looking. While activations are on their way, Open MPI moves
// some fragments of 32 KiB with each call: sleeping longer would be what limits their speed, and
// Linux's usual 50 us of slack as well.
constexpr int kTransferSleep_us = 5;
constexpr unsigned long kTimerSlack_ns = 1000;
constexpr int kShortestSleep_us = 20;
constexpr int kIdleSleep_us = 500, kLongestSleep_us = 4000, kLongestAlone_us = 50'000;
constexpr int kPartsOfIdle = 16;
constexpr int kGrowthAlone = 16;  ///< of its sleep from look to look
constexpr double kTickInterval_s = 0.1;

int longest_sleep_us(bool alone, double idle_s) {
  if (alone) return kLongestAlone_us;
  return static_cast<int>(
      std::clamp<double>(idle_s * 1e6 / kPartsOfIdle, kIdleSleep_us, kLongestSleep_us));
}

}  // namespace

void run_loop(Worker* worker, Conductor* conductor, Bell& bell, bool alone,
              const std::function<void(const Activity&)>& tick) {
  prctl(PR_SET_TIMERSLACK, kTimerSlack_ns);  // of this thread; a refusal costs only speed
  int sleep_us = kShortestSleep_us;
  Timer since_tick, idle;
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
      idle.restart();
      continue;
    }
    if (worker && worker->transferring()) {
      bell.wait(std::chrono::microseconds(kTransferSleep_us));
      continue;
    }
    bell.wait(std::chrono::microseconds(sleep_us));
    sleep_us = std::min(alone ? sleep_us * kGrowthAlone : sleep_us * 5 / 4 + 1,
                        longest_sleep_us(alone, idle.seconds()));
  }
}

}  // namespace llmpq
