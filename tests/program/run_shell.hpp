// Runs any program, and waits for things. Used by the tests that start more than llmpq.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace llmpq::test {

struct ShellRun {
  int exit_code = -1;
  std::string out;  ///< stdout and stderr
};

/// Runs a program with these arguments and waits for it.
ShellRun run_shell(const std::vector<std::string>& words);

/// Asks five times a second until `ready` says true; false if it has not after so long.
bool wait_for(double most_s, const std::function<bool()>& ready);

}  // namespace llmpq::test
