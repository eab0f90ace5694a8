// What it costs that ranks tell each other they live. The clock is the test's, so that minutes of
// pulses pass in a moment; messages and CPU time are real.
#include "pipeline/watchdog.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "kernels/cpu/thread_pool.hpp"
#include "mpi_test_main.hpp"

namespace llmpq {
namespace {

constexpr double kPoll_s = 500e-6;  ///< as often as the run's loop looks when nothing moves
constexpr int kPollsPerSecond = 2000;

TEST(WatchdogCost, IsNothingThatOneCouldMeasureInARun) {
  const Mpi& mpi = test_mpi();
  Watchdog watchdog({.rank = mpi.rank(), .hosts = mpi.all_gather(mpi.host())},
                    make_watch_links(mpi), 0);
  constexpr int kSeconds = 30;
  double cpu_s = 0;
  for (int second = 0; second < kSeconds; ++second) {
    const double began_s = thread_cpu_seconds();
    for (int poll = 1; poll <= kPollsPerSecond; ++poll) {
      const auto silent = watchdog.poll(second + poll * kPoll_s, {}, {});
      ASSERT_FALSE(silent.has_value()) << *silent;
    }
    cpu_s += thread_cpu_seconds() - began_s;
    mpi.barrier();  // no rank's clock runs away from the others'
  }
  const double share = cpu_s / kSeconds;
  fmt::print("rank {}: {:.0f} us of CPU time a second\n", mpi.rank(), share * 1e6);
  EXPECT_LT(share, 2e-3);
}

}  // namespace
}  // namespace llmpq
