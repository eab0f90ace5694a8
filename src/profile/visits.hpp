// Visits the points of a grid, all of them again and again until the time is over: a burst of other
// work on the machine then meets one visit of a point, not all of them. Used by measure.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "profile/measure.hpp"

namespace llmpq {

/// A point while it is being measured.
struct VisitedPoint {
  double work = 0;              ///< about proportional to the seconds of large points
  std::vector<double> seconds;  ///< one of each visit; empty: left out
  double run_s = 0;             ///< how long one run took
};

/// How a point is run: chosen once a visit, then run so many times; returns seconds per run.
struct VisitedUnit {
  std::function<void(size_t point)> choose;
  std::function<double(int64_t times)> run;
};

class Visits {
 public:
  /// Until steady_seconds() is `end_s`.
  Visits(VisitedUnit unit, double end_s, Turns& turns);
  /// Visits the points from `first` on for the first time, in the order of their importance. Those
  /// for which there seems to be no time are left out, all but the first two of the unit.
  void begin(std::vector<VisitedPoint>& points, size_t first = 0);
  /// Visits them all again, round by round.
  void repeat(std::vector<VisitedPoint>& points);

 private:
  VisitedUnit unit_;
  double first_end_s_, end_s_;
  Turns& turns_;
  double largest_work_ = 0, rate_ = 0;  ///< seconds per work of the largest point so far
};

/// The seconds of a point: its quietest visit. Work of others makes a visit longer, nothing makes
/// it shorter.
double quietest(const VisitedPoint& point);
/// How much longer the visit in the middle took, as a share.
double spread_of(const VisitedPoint& point);

}  // namespace llmpq
