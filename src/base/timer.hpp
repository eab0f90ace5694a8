// Seconds on the steady clock, and the event that a trace is made of.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

namespace llmpq {

/// Seconds since some fixed moment of this host; never goes back.
inline double steady_seconds() {
  using Seconds = std::chrono::duration<double>;
  return std::chrono::duration_cast<Seconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Returns at that moment of steady_seconds(), or at once if it is over. Sleeps; only the last
/// tenth of a millisecond, by which a sleep may end late, is spent looking at the clock.
inline void wait_until(double moment_s) {
  constexpr double kLate_s = 1e-4;
  const double sleep_s = moment_s - steady_seconds() - kLate_s;
  if (sleep_s > 0) std::this_thread::sleep_for(std::chrono::duration<double>(sleep_s));
  while (steady_seconds() < moment_s) std::this_thread::yield();
}

/// Measures the seconds since it was made or restarted.
class Timer {
 public:
  double seconds() const { return steady_seconds() - start_s_; }
  void restart() { start_s_ = steady_seconds(); }

 private:
  double start_s_ = steady_seconds();
};

/// Something that took time: what, of which kind, where, and from when to when.
struct TraceEvent {
  std::string name;      ///< for people: "prefill 64", "send 3 -> 4"
  std::string category;  ///< prefill, decode, mixed, transfer, wait ...
  int32_t rank = 0;
  int32_t track = 0;  ///< lines of one rank: computing, sending, receiving
  int64_t step = -1;  ///< the micro-batch it belongs to; -1: none
  double begin_s = 0;
  double end_s = 0;
};

}  // namespace llmpq
