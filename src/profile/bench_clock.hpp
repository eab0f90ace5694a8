// What the profiler looks at: the steady clock, or that of a device that is emulated by slowdown.
#pragma once

#include <algorithm>

#include "base/timer.hpp"
#include "kernels/backend.hpp"
#include "profile/emulate.hpp"

namespace llmpq {

class BenchClock {
 public:
  /// An empty slowdown: the steady clock.
  BenchClock(const Slowdown& slowdown, Backend& backend) : slowdown_(slowdown), backend_(backend) {
    if (!slowdown.empty()) backend.count_cpu_seconds();
  }

  /// Seconds of `work`, which ends with waiting for the device. An emulated device's end no sooner
  /// here than they would in a run, so that ranks disturb each other as they would there.
  template <typename Work>
  double seconds(Phase phase, std::optional<Format> format, Work&& work) const {
    const double began_s = steady_seconds(), cpu_began_s = backend_.cpu_seconds();
    work();
    if (slowdown_.empty()) return steady_seconds() - began_s;
    const double slowed_s =
        slowdown_.factor(phase, format) * (backend_.cpu_seconds() - cpu_began_s);
    const double end_s = std::max(began_s + slowed_s, steady_seconds());
    wait_until(end_s);
    return end_s - began_s;
  }

 private:
  Slowdown slowdown_;
  Backend& backend_;
};

}  // namespace llmpq
