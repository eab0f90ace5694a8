#include "base/signals.hpp"

#include <gtest/gtest.h>

#include <csignal>

#include "base/timer.hpp"

namespace llmpq {
namespace {

TEST(Signals, AreNotedWithTheirTimesOnTheSteadyClock) {
  catch_stop_signals();
  EXPECT_EQ(signals_seen().last, 0);
  const double before_s = steady_seconds();
  std::raise(SIGUSR1);
  const double between_s = steady_seconds();
  std::raise(SIGTERM);
  const SignalsSeen seen = signals_seen();
  EXPECT_EQ(seen.last, SIGTERM);
  EXPECT_GE(seen.first_s, before_s);
  EXPECT_LE(seen.first_s, between_s);
  EXPECT_GE(seen.last_s, between_s);
  EXPECT_LE(seen.last_s, steady_seconds());
  EXPECT_STREQ(signal_name(SIGUSR1), "SIGUSR1");
  EXPECT_STREQ(signal_name(SIGTERM), "SIGTERM");
}

}  // namespace
}  // namespace llmpq
