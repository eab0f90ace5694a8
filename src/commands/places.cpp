#include "commands/places.hpp"

#include <filesystem>
#include <string>
#include <variant>

#include "input/job_options.hpp"
#include "kernels/check.hpp"
#include "output/output_files.hpp"

namespace llmpq {
namespace {

constexpr const char* kWritten[] = {"save-plan", "save-problem", "save-profile", "save-sensitivity",
                                    "timeline",  "trace",        "svg"};

}  // namespace

void check_places(const Job& job, Command command) {
  std::error_code ignored;  // where one of them is not there
  CHECK(command != Command::kGenerate ||
            !std::filesystem::equivalent(job.output, job.prompts, ignored),
        Exit::kUsage, "output and prompts are the same file: {} and {}", job.output.string(),
        job.prompts.string());
  for (const char* name : kWritten) {
    const Option* option = find_option(name, command);
    if (!option) continue;
    for (const Scalar& path : option->binding.get(job)) check_place(std::get<std::string>(path));
  }
}

void check_places(const Mpi& mpi, const Job& job, Command command) {
  mpi.agreed([&] {
    if (mpi.rank() == 0) check_places(job, command);
  });
}

}  // namespace llmpq
