// What a run that goes on with another's rows has to plan for: the rest, as far as the rows that
// are done tell.
#pragma once

#include <cstdint>
#include <optional>

#include "output/journal.hpp"
#include "pipeline/feed.hpp"

namespace llmpq {

/// Of a dataset's lengths those of rows with a sample that is not in the journal. Where a sample of
/// the dataset was looked at and all of that is done, it stands for the rest too. Lengths of the
/// longest prompt and sequence stay.
WorkloadLengths lengths_left(WorkloadLengths lengths, const Journal& journal);

/// The mean output of the good rows in tokens, at least 1; nothing before there is one.
std::optional<int64_t> mean_output(const JournalCounts& counts);

}  // namespace llmpq
