#include "base/signals.hpp"

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>

#include "base/launcher.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

// Lock-free, or a handler that interrupts their user could wait for itself.
std::atomic<int64_t> first_ns{0}, last_ns{0};  ///< CLOCK_MONOTONIC, which steady_clock reads too
std::atomic<int> last_signal{0}, sigterm_sender{0};
static_assert(std::atomic<int64_t>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void note(int signal, siginfo_t* info, void*) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t ns = int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  int64_t none = 0;
  first_ns.compare_exchange_strong(none, ns);
  last_ns = ns;
  last_signal = signal;
  if (signal == SIGTERM) sigterm_sender = info->si_pid;
}

}  // namespace

void catch_stop_signals() {
  for (const int signal : {SIGUSR1, SIGTERM}) {
    struct sigaction action {};
    action.sa_sigaction = note;
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    CHECK(sigaction(signal, &action, nullptr) == 0, Exit::kInternal, "{} cannot be caught",
          signal_name(signal));
  }
}

SignalsSeen signals_seen() {
  static int looked_at = 0;
  static bool is_end = false;
  if (const int sender = sigterm_sender; sender != looked_at) {
    is_end |= is_mpirun(sender);
    looked_at = sender;
  }
  return {last_signal, static_cast<double>(first_ns) * 1e-9, static_cast<double>(last_ns) * 1e-9,
          is_end};
}

const char* signal_name(int signal) { return signal == SIGUSR1 ? "SIGUSR1" : "SIGTERM"; }

}  // namespace llmpq
