// A backend's operations with a stopwatch: each call writes down which operation it was and how
// long it took. For traces, and only where an operation is done when its call returns (a CPU).
#pragma once

#include <vector>

#include "kernels/ops.hpp"

namespace llmpq {

struct TimedOp {
  const char* name = "";
  double begin_s = 0, end_s = 0;
};

/// A table that calls `ops`, of which there is one in a process, and appends to `list`, both of
/// this thread, until the next call. The list must live as long as the table is used.
const Ops& timed_ops(const Ops& ops, std::vector<TimedOp>& list);

}  // namespace llmpq
