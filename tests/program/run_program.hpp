// Runs the built llmpq as a user does, alone or under mpirun, and catches what it says.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace llmpq::test {

struct ProgramRun {
  int exit_code = -1;
  std::string out;          ///< stdout
  std::string err;          ///< stderr
  int64_t max_rss_kib = 0;  ///< most memory of the started process (of llmpq itself without mpirun)
};

/// How a program is run.
struct RunLimits {
  double kill_after_s = 120;   ///< then all its processes get SIGKILL: exit code 137
  std::string kill_file = {};  ///< the time until the kill begins when this file is there
  bool gpus = false;           ///< whether the program sees the GPUs that the machine may have
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< besides the test's own
};

/// `ranks` = 0: without mpirun.
ProgramRun run_program(const std::vector<std::string>& arguments, int ranks = 0,
                       const RunLimits& limits = {});

}  // namespace llmpq::test
