// A run as a Chrome trace: JSON in the Trace Event Format, which Perfetto (ui.perfetto.dev) and
// chrome://tracing show.
#pragma once

#include <string>
#include <vector>

#include "base/timer.hpp"

namespace llmpq {

/// `events` are gather_events()'. A rank is a process, named by `ranks` ("rank 0 on host"). What
/// one thread does, one thing after the other, is a line of bars ("X"); transfers and waiting
/// steps, which overlap, are asynchronous ("b" and "e", one pair an id). Microseconds from
/// `origin_s`. https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
std::string chrome_trace(const std::vector<TraceEvent>& events,
                         const std::vector<std::string>& ranks, double origin_s);

}  // namespace llmpq
