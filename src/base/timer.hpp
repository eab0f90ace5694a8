// Seconds on the steady clock, and the event that a trace is made of.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace llmpq {

/// Seconds since some fixed moment of this host; never goes back.
inline double steady_seconds() {
  using Seconds = std::chrono::duration<double>;
  return std::chrono::duration_cast<Seconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
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
