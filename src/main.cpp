// The program: reads the command line, runs the command, and is the only place that catches errors.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "base/hdf5.hpp"
#include "base/launcher.hpp"
#include "base/log.hpp"
#include "base/standard_streams.hpp"
#include "commands/bench.hpp"
#include "commands/check.hpp"
#include "commands/cli.hpp"
#include "commands/convert.hpp"
#include "commands/eval.hpp"
#include "commands/generate.hpp"
#include "commands/inspect.hpp"
#include "commands/plan.hpp"
#include "commands/profile.hpp"
#include "commands/sensitivity.hpp"
#include "kernels/check.hpp"

namespace {

int run_command(const llmpq::CommandLine& line) {
  if (!line.print.empty() || !line.command) {
    if (llmpq::is_first_rank()) std::fputs(line.print.c_str(), stdout);
    return 0;
  }
  switch (*line.command) {
    case llmpq::Command::kGenerate:
      return llmpq::run_generate(line.job);
    case llmpq::Command::kPlan:
      return llmpq::run_plan(line.job);
    case llmpq::Command::kEval:
      return llmpq::run_eval(line.job);
    case llmpq::Command::kConvert:
      return llmpq::run_convert(line.job);
    case llmpq::Command::kInspect:
      return llmpq::run_inspect(line.job);
    case llmpq::Command::kCheck:
      return llmpq::run_check(line.job);
    case llmpq::Command::kProfile:
      return llmpq::run_profile(line.job);
    case llmpq::Command::kBench:
      return llmpq::run_bench(line.job);
    case llmpq::Command::kSensitivity:
      return llmpq::run_sensitivity(line.job);
  }
  return static_cast<int>(llmpq::Exit::kInternal);
}

/// Before MPI is up the ranks cannot wait for each other, and a launcher kills the others when the
/// first one exits: the first rank gets time to speak.
void tell(const std::string& sentence) {
  if (llmpq::is_first_rank())
    llmpq::print_error(sentence);
  else
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
}

/// What a command prints is its result, but for those whose result is a file.
bool prints_its_result(const llmpq::CommandLine& line) {
  return line.command != llmpq::Command::kGenerate && line.command != llmpq::Command::kConvert;
}

int run(const std::vector<std::string>& words) {
  const llmpq::CommandLine line = llmpq::parse_command_line(words);
  const int code = run_command(line);
  const std::string refused = llmpq::flush_stdout();
  if (refused.empty()) return code;
  llmpq::print_error("stdout: " + refused);
  return code == 0 && prints_its_result(line) ? static_cast<int>(llmpq::Exit::kOutput) : code;
}

}  // namespace

int main(int argc, char** argv) {
  llmpq::open_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);  // nobody reads what we say any more: no reason to stop working
  llmpq::h5::dont_close_at_exit();
  try {
    return run({argv + 1, argv + argc});
  } catch (const llmpq::Error& error) {
    if (!error.told()) tell(error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    tell(std::string("internal error: ") + error.what());
    return static_cast<int>(llmpq::Exit::kInternal);
  }
}
