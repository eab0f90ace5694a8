// From a step on the wire to the token rows that the layers see.
#pragma once

#include "layer/forward.hpp"
#include "schedule/step.hpp"

namespace llmpq {

/// Positions, ranges, block tables and sampled (or scored) rows of a step. Error(kMpi) if the step
/// contradicts itself (counts that do not add up, blocks outside the cache, more rows than the
/// workspace).
Rows rows_of(const Step& step, const Sizes& sizes, int64_t kv_blocks);

}  // namespace llmpq
