// The steps of a run as text: who computed what when, what travelled meanwhile. For people who want
// to see refill, prefill beside decode, and transfers under computing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/mpi.hpp"
#include "base/timer.hpp"
#include "pipeline/timeline.hpp"

namespace llmpq {

/// Events as text to send to rank 0, and back. Error(kMpi) on text that is none.
std::string pack_events(const std::vector<TraceEvent>& events);
std::vector<TraceEvent> unpack_events(std::string_view text);

/// Collective: what all ranks did, on rank 0's clock, by its beginning; nothing on other ranks.
/// `clock_offset_s` is how far this rank's clock is ahead of rank 0's (base/clock_offset.hpp).
std::vector<TraceEvent> gather_events(const Mpi& mpi, const Timeline& mine, double clock_offset_s);

/// A chart (a line per rank and one for its transfers; time runs to the right: P prefill, D decode,
/// M mixed, = transfer) and below it a table of the same, sorted by beginning as gather_events()
/// leaves them. Times count from `origin_s`.
std::string timeline_text(std::vector<TraceEvent> events, int ranks, double origin_s);

}  // namespace llmpq
