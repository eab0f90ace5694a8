// What becomes of a job that is killed, asked to stop, or hangs: its part of the list.
#include "input/job_binding.hpp"
#include "input/job_options.hpp"

namespace llmpq {

std::vector<Option> life_options() {
  using namespace binding;
  constexpr unsigned kGenerate = bit(Command::kGenerate);
  const std::string group = "The life of a job";
  return {
      {"resume", group, kGenerate, "",
       "Go on where a killed run of the same job stopped. A complete output ends with 0 at once, "
       "with a warning if it is another job's.",
       flag(&Job::resume)},
      {"retry-failed", group, kGenerate, "",
       "With --resume: do the rows in error again, also those of a complete output.",
       flag(&Job::retry_failed)},
      {"allow-format-change", group, kGenerate, "",
       "With --resume: rows that are left may have other formats than the first ones: those of "
       "--format, or, if the first ones do not fit any more, those that do.",
       flag(&Job::allow_format_change)},
      {"timeout", group, kGenerate | bit(Command::kBench), "seconds",
       "A rank that gives no sign of life, or a step that does not come back, for so long ends the "
       "run (exit code 8).",
       integer(&Job::timeout, {1, 1e6})},
      {"grace", group, kGenerate, "seconds",
       "After SIGUSR1 or SIGTERM on any rank no prompt is begun, those that run may finish for so "
       "long, and all is saved: exit code 75. Another signal, more than a second later, ends it at "
       "once.",
       integer(&Job::grace, {0, 1e6})},
  };
}

}  // namespace llmpq
