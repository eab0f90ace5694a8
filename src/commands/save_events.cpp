#include "commands/save_events.hpp"

#include <fmt/core.h>

#include "base/clock_offset.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "output/gantt.hpp"
#include "output/timeline.hpp"
#include "output/trace.hpp"

namespace llmpq {
namespace {

void save(const std::filesystem::path& path, const char* what, const std::string& text) {
  write_file_atomically(path, text, Exit::kOutput);
  log_info("the {} is in {}", what, path.string());
}

std::string draw(const EventsOfRun& run) {
  GanttChart chart;
  const auto& stages = run.plan.pipelines.at(0).stages;
  chart.title = fmt::format("{}: {} stage{}, {}", run.plan.model, stages.size(),
                            stages.size() == 1 ? "" : "s", name(run.plan.mix));
  for (const StagePlan& stage : stages) chart.ranks.push_back(stage.ranks.at(0));
  chart.begin_s = run.begin_s;
  chart.end_s = run.end_s;
  chart.events = run.events;
  return gantt_svg(chart);
}

}  // namespace

bool wants_events(const Job& job) {
  return !job.timeline.empty() || !job.trace.empty() || !job.svg.empty();
}

std::vector<TraceEvent> collect_events(const Mpi& mpi, const Timeline& mine) {
  const ClockOffset offset = clock_offset(mpi);
  const double error_s = mpi.max(offset.error_s);
  if (mpi.rank() == 0 && error_s > 0)
    log_info("the clocks of the hosts agree within {:.0f} us", 1e6 * error_s);
  return gather_events(mpi, mine, offset.offset_s);
}

void save_events(const Mpi& mpi, const Job& job, const EventsOfRun& run) {
  const auto names = mpi.gather(fmt::format("rank {} on {}", mpi.rank(), mpi.host()));
  mpi.agreed([&] {
    if (mpi.rank() != 0) return;
    if (!job.timeline.empty())
      save(job.timeline, "timeline of steps", timeline_text(run.events, mpi.size(), run.begin_s));
    if (!job.trace.empty()) save(job.trace, "trace", chrome_trace(run.events, names, run.begin_s));
    if (!job.svg.empty()) save(job.svg, "chart", draw(run));
  });
}

}  // namespace llmpq
