// The steps of a run as text: who computed what when, what travelled meanwhile. For people who want
// to see refill, prefill beside decode, and transfers under computing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/timer.hpp"

namespace llmpq {

/// Events as text to send to rank 0, and back. Error(kMpi) on text that is none.
std::string pack_events(const std::vector<TraceEvent>& events);
std::vector<TraceEvent> unpack_events(std::string_view text);

/// A chart (a line per rank and one for its transfers; time runs to the right: P prefill, D decode,
/// M mixed, = transfer) and below it a table of all events by their beginning. Times count from the
/// events' common zero; `origins_s` are the ranks' own clocks at it.
std::string timeline_text(std::vector<TraceEvent> events, const std::vector<double>& origins_s);

}  // namespace llmpq
