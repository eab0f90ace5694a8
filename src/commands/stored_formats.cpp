#include "commands/stored_formats.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "kernels/check.hpp"
#include "plan/describe.hpp"

namespace llmpq {
namespace {

std::vector<Format> stored_formats(const Job& job, const StoredWeights& stored) {
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

}  // namespace

Job with_stored_formats(const Mpi& mpi, const Job& job, const Checkpoint& checkpoint) {
  Job kept = job;
  const StoredWeights* const stored = checkpoint.stored();
  if (!stored) return kept;
  const bool given = !job.format.empty() || !job.plan.empty();
  if (!given) mpi.agreed([&] { kept.format = stored_formats(job, *stored); });
  if (mpi.rank() != 0) return kept;
  if (!given)
    log_info("the checkpoint's integers ({}) are kept as they are, in {}", describe(*stored),
             name(kept.format[0]));
  else if (job.plan.empty() &&
           std::ranges::any_of(job.format, [&](Format f) { return f != format_of(*stored); }))
    log_warning("the checkpoint's integers ({}) are dequantized and rounded anew, to {}",
                describe(*stored), run_lengths(job.format));
  return kept;
}

}  // namespace llmpq
