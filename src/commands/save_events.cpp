#include "commands/save_events.hpp"

#include <fmt/core.h>

#include "base/clock_offset.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "output/timeline.hpp"
#include "output/trace.hpp"

namespace llmpq {
namespace {

/// For people: the ranks' names in a trace.
std::vector<std::string> rank_names(const Mpi& mpi) {
  return mpi.gather(fmt::format("rank {} on {}", mpi.rank(), mpi.host()));
}

}  // namespace

bool wants_events(const Job& job) { return !job.timeline.empty() || !job.trace.empty(); }

void save_events(const Mpi& mpi, const Job& job, const Timeline& mine, double origin_s) {
  const ClockOffset offset = clock_offset(mpi);
  const auto names = rank_names(mpi);
  const auto events = gather_events(mpi, mine, offset.offset_s);
  const double error_s = mpi.max(offset.error_s);
  if (mpi.rank() != 0) return;
  if (error_s > 0)
    log_info("the hosts' clocks agree in timeline and trace within {:.0f} us", 1e6 * error_s);
  if (!job.timeline.empty()) {
    write_file_atomically(job.timeline, timeline_text(events, mpi.size(), origin_s), Exit::kOutput);
    log_info("the timeline of steps is in {}", job.timeline.string());
  }
  if (!job.trace.empty()) {
    write_file_atomically(job.trace, chrome_trace(events, names, origin_s), Exit::kOutput);
    log_info("the trace is in {}", job.trace.string());
  }
}

}  // namespace llmpq
