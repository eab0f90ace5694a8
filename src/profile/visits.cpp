#include "profile/visits.hpp"

#include <algorithm>
#include <utility>

#include "base/timer.hpp"

namespace llmpq {
namespace {

constexpr double kVisitSeconds = 0.01;
constexpr double kShortRuns = 1e-3;  ///< shorter runs are timed several at a time
constexpr int64_t kMostRuns = 200;   ///< of a visit
constexpr size_t kMostVisits = 8;
/// Of the time, for the first visits: what remains is for the others.
constexpr double kFirstShare = 0.6;
/// Of a first visit to a long step: one that warms up, and one to measure.
constexpr double kLeastRuns = 2;

struct Visit {
  double seconds = 0;  ///< what the unit says of a run
  double run_s = 0;    ///< how long the run took
};

/// The lower quartile of the visit's runs: what interrupts a run makes it longer by whole time
/// slices. `expected_s` of a run: 0 at the first visit.
Visit time_visit(const VisitedUnit& unit, size_t point, double expected_s) {
  unit.choose(point);
  // Memory is touched, kernels are loaded and recorded; a long run is not much longer for that.
  for (int warm = 0; warm < 2 && expected_s < kVisitSeconds; ++warm) {
    const Timer timer;
    unit.run(1);
    expected_s = timer.seconds();
  }
  const auto times = static_cast<int64_t>(
      std::clamp(kShortRuns / std::max(expected_s, 1e-9), 1.0, double{kMostRuns}));
  std::vector<double> runs;
  const Timer timer;
  do {
    runs.push_back(unit.run(times));
  } while (timer.seconds() < kVisitSeconds);
  const double run_s = timer.seconds() / static_cast<double>(std::ssize(runs) * times);
  std::nth_element(runs.begin(), runs.begin() + std::ssize(runs) / 4, runs.end());
  return {runs[runs.size() / 4], run_s};
}

}  // namespace

Visits::Visits(VisitedUnit unit, double end_s, Turns& turns)
    : unit_(std::move(unit)), end_s_(end_s), turns_(turns) {
  const double now = steady_seconds();
  first_end_s_ = now + kFirstShare * (end_s - now);
}

void Visits::begin(std::vector<VisitedPoint>& points, size_t first) {
  for (size_t i = first; i < points.size(); ++i) {
    const double guess_s = kVisitSeconds + kLeastRuns * rate_ * points[i].work;
    if (i >= 2 && steady_seconds() + guess_s > first_end_s_) continue;
    if (!turns_.next()) return;
    const Visit visit = time_visit(unit_, i, 0);
    points[i].seconds.push_back(visit.seconds);
    points[i].run_s = visit.run_s;
    if (points[i].work < largest_work_) continue;
    largest_work_ = points[i].work;
    rate_ = visit.run_s / largest_work_;
  }
}

void Visits::repeat(std::vector<VisitedPoint>& points) {
  for (size_t round = 1; round < kMostVisits; ++round)
    for (size_t i = 0; i < points.size(); ++i) {
      if (points[i].seconds.empty()) continue;
      if (steady_seconds() + points[i].run_s > end_s_ || !turns_.next()) return;
      points[i].seconds.push_back(time_visit(unit_, i, points[i].run_s).seconds);
    }
}

double quietest(const VisitedPoint& point) {
  return *std::min_element(point.seconds.begin(), point.seconds.end());
}

double spread_of(const VisitedPoint& point) {
  std::vector<double> sorted = point.seconds;
  std::sort(sorted.begin(), sorted.end());
  return sorted[sorted.size() / 2] / sorted.front() - 1;
}

}  // namespace llmpq
