#include "commands/rows_left.hpp"

#include <algorithm>

namespace llmpq {
namespace {

bool is_done(const Journal& journal, int64_t row) {
  for (int32_t sample = 0; sample < journal.head().num_samples; ++sample)
    if (!journal.is_done(row, sample)) return false;
  return true;
}

}  // namespace

WorkloadLengths lengths_left(WorkloadLengths lengths, const Journal& journal) {
  const JournalCounts counts = journal.counts();
  const int64_t samples = journal.head().num_samples;
  lengths.rows = (counts.rows - counts.done + samples - 1) / samples;
  std::vector<RowLength> seen;
  std::ranges::copy_if(lengths.seen, std::back_inserter(seen),
                       [&](const RowLength& each) { return !is_done(journal, each.row); });
  if (!seen.empty()) lengths.seen = std::move(seen);
  return lengths;
}

std::optional<int64_t> mean_output(const JournalCounts& counts) {
  const int64_t good = counts.done - counts.failed;
  if (good == 0) return std::nullopt;
  return std::max<int64_t>(1, (counts.output_tokens + good / 2) / good);
}

}  // namespace llmpq
