// Job files: any text either gives a job, which can be printed and read back, or a usage error.
#include <cstdlib>

#include "input/job.hpp"
#include "kernels/check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmpq;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Job job;
  try {
    read_job_toml(text, "fuzz.toml", "/jobs", Command::kGenerate, job);
  } catch (const Error& error) {
    if (error.code() != Exit::kUsage) std::abort();
    return 0;
  }
  Job again;
  const std::string printed = job_to_toml(job, Command::kGenerate);
  read_job_toml(printed, "printed.toml", "/jobs", Command::kGenerate, again);
  if (job_to_toml(again, Command::kGenerate) != printed) std::abort();
  return 0;
}
