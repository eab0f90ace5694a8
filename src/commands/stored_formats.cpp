#include "commands/stored_formats.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "kernels/check.hpp"
#include "plan/describe.hpp"

namespace llmpq {
namespace {

/// A plan file and the job's own formats stand.
bool leaves_formats(const Job& job) { return job.format.empty() && job.plan.empty(); }

/// The formats that the job has by now.
std::vector<Format> kept_formats(const Job& job, const StoredWeights& stored) {
  if (!leaves_formats(job)) return job.format;
  const auto format = format_of(stored);
  CHECK(
      format, Exit::kModel,
      "{}: its weights are {}, and no format holds them as they are: {}; give --format bf16, f16, "
      "w8, w4 or w3 to dequantize and round them anew, or take the original model",
      job.model.string(), describe(stored), why_none(stored));
  CHECK(!job.theta && !job.average_bits && job.max_perplexity_increase.empty(), Exit::kUsage,
        "{}: its weights are {}, which are {}: leave out theta, average-bits and "
        "max-perplexity-increase, or take the original model",
        job.model.string(), describe(stored), name(*format));
  return {*format};
}

void log_what_becomes_of(const StoredWeights& stored, const Job& job) {
  if (leaves_formats(job))
    log_info("the checkpoint's integers ({}) are kept as they are, in {}", describe(stored),
             name(*format_of(stored)));
  else if (job.plan.empty() &&
           std::ranges::any_of(job.format, [&](Format f) { return f != format_of(stored); }))
    log_warning("the checkpoint's integers ({}) are dequantized and rounded anew, to {}",
                describe(stored), run_lengths(job.format));
}

}  // namespace

Job with_stored_formats(const Job& job, const StoredWeights* stored) {
  Job kept = job;
  if (!stored) return kept;
  kept.format = kept_formats(job, *stored);
  log_what_becomes_of(*stored, job);
  return kept;
}

Job with_stored_formats(const Mpi& mpi, const Job& job, const Checkpoint& checkpoint) {
  Job kept = job;
  const StoredWeights* const stored = checkpoint.stored();
  if (!stored) return kept;
  mpi.agreed([&] { kept.format = kept_formats(job, *stored); });
  if (mpi.rank() == 0) log_what_becomes_of(*stored, job);
  return kept;
}

}  // namespace llmpq
