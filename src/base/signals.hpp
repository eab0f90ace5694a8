// SIGUSR1 and SIGTERM, with which schedulers warn a job before they end it: noted when they come,
// so that whoever runs the job can ask at a convenient moment. Used by generate.
#pragma once

namespace llmpq {

/// What this process was sent so far; times are steady_seconds().
struct SignalsSeen {
  int last = 0;  ///< number of the latest signal; 0: none came
  double first_s = 0;
  double last_s = 0;
  bool is_end = false;  ///< a SIGTERM was mpirun's, which ends all ranks a second later
};

/// From now on SIGUSR1 and SIGTERM do not end the process.
void catch_stop_signals();

/// For one thread.
SignalsSeen signals_seen();

/// "SIGUSR1" or "SIGTERM".
const char* signal_name(int signal);

}  // namespace llmpq
