// Runs the built llmpq as a user does, alone or under mpirun, and catches what it says.
#pragma once

#include <string>
#include <vector>

namespace llmpq::test {

struct ProgramRun {
  int exit_code = -1;
  std::string out;  ///< stdout
  std::string err;  ///< stderr
};

/// `ranks` = 0: without mpirun. The run is killed after two minutes (exit code 137).
ProgramRun run_program(const std::vector<std::string>& arguments, int ranks = 0);

}  // namespace llmpq::test
