#include "output/stage_time.hpp"

#include <algorithm>
#include <utility>

#include "pipeline/timeline.hpp"

namespace llmpq {
namespace {

using Intervals = std::vector<std::pair<double, double>>;  ///< sorted, apart from each other

/// The intervals as a union, within [begin, end).
Intervals united(Intervals intervals, double begin, double end) {
  std::sort(intervals.begin(), intervals.end());
  Intervals result;
  for (auto [from, to] : intervals) {
    from = std::max(from, begin);
    to = std::min(to, end);
    if (from >= to) continue;
    if (!result.empty() && from <= result.back().second)
      result.back().second = std::max(result.back().second, to);
    else
      result.emplace_back(from, to);
  }
  return result;
}

double length(const Intervals& intervals) {
  double sum = 0;
  for (const auto& [from, to] : intervals) sum += to - from;
  return sum;
}

double overlap(const Intervals& a, const Intervals& b) {
  double sum = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    sum += std::max(0.0, std::min(a[i].second, b[j].second) - std::max(a[i].first, b[j].first));
    ++(a[i].second < b[j].second ? i : j);
  }
  return sum;
}

Intervals intervals_of(const std::vector<TraceEvent>& events, int rank, Track track) {
  Intervals intervals;
  for (const TraceEvent& event : events)
    if (event.rank == rank && event.track == track)
      intervals.emplace_back(event.begin_s, event.end_s);
  return intervals;
}

ByKind<double> busy_seconds(const std::vector<TraceEvent>& events, int rank, double begin_s,
                            double end_s) {
  ByKind<double> busy;
  for (const TraceEvent& event : events) {
    if (event.rank != rank || event.track != kComputing) continue;
    const double seconds =
        std::max(0.0, std::min(event.end_s, end_s) - std::max(event.begin_s, begin_s));
    if (event.category == "prefill") busy.prefill += seconds;
    if (event.category == "decode") busy.decode += seconds;
    if (event.category == "mixed") busy.mixed += seconds;
  }
  return busy;
}

}  // namespace

std::vector<StageTime> stage_times(const std::vector<TraceEvent>& events,
                                   const std::vector<int>& ranks, double begin_s, double end_s) {
  std::vector<StageTime> times;
  for (size_t stage = 0; stage < ranks.size(); ++stage) {
    const int sender = ranks[(stage + ranks.size() - 1) % ranks.size()];
    const Intervals busy = united(intervals_of(events, ranks[stage], kComputing), begin_s, end_s);
    const Intervals sent = united(intervals_of(events, sender, kSending), begin_s, end_s);
    StageTime time;
    time.busy_s = busy_seconds(events, ranks[stage], begin_s, end_s);
    time.link_s = length(sent) - overlap(sent, busy);
    time.bubble_s = std::max(0.0, end_s - begin_s - length(busy) - time.link_s);
    times.push_back(time);
  }
  return times;
}

}  // namespace llmpq
