// The program: reads the command line, runs the command, and is the only place that catches errors.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "commands/cli.hpp"
#include "commands/convert.hpp"
#include "commands/eval.hpp"
#include "commands/generate.hpp"
#include "commands/inspect.hpp"
#include "commands/plan.hpp"
#include "kernels/check.hpp"

namespace {

/// The launcher's word for who we are: errors that all ranks meet are told by one of them. MPI is
/// not asked, since it may not be there yet or not any more.
bool is_first_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"})
    if (const char* rank = std::getenv(name)) return std::string(rank) == "0";
  return true;
}

int run(const std::vector<std::string>& words) {
  const llmpq::CommandLine line = llmpq::parse_command_line(words);
  if (!line.print.empty() || !line.command) {
    if (is_first_rank()) std::fputs(line.print.c_str(), stdout);
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
  }
  return static_cast<int>(llmpq::Exit::kInternal);
}

void print_error(const char* prefix, const char* sentence) {
  if (is_first_rank()) std::fprintf(stderr, "llmpq: %s: %s\n", prefix, sentence);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const llmpq::Error& error) {
    print_error("error", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    print_error("internal error", error.what());
    return static_cast<int>(llmpq::Exit::kInternal);
  }
}
