#include "commands/places.hpp"

#include <string>
#include <variant>

#include "input/job_options.hpp"
#include "output/output_files.hpp"

namespace llmpq {
namespace {

constexpr const char* kWritten[] = {"save-plan", "save-problem", "save-profile", "save-sensitivity",
                                    "timeline",  "trace",        "svg"};

}  // namespace

void check_places(const Job& job, Command command) {
  for (const char* name : kWritten) {
    const Option* option = find_option(name, command);
    if (!option) continue;
    for (const Scalar& path : option->binding.get(job)) check_place(std::get<std::string>(path));
  }
}

}  // namespace llmpq
