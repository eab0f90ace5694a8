// How much speed every step down in quality buys: the best plans at a row of bounds on omega, from
// the best quality that fits to the quality that the fastest plan has. Pure.
#pragma once

#include <string>
#include <vector>

#include "plan/planners.hpp"

namespace llmpq {

struct SweepPoint {
  double max_omega = 0;  ///< the bound
  Planned planned;
  /// Seconds that this point saves over the one before it, for each unit of omega that it costs
  /// more: the --theta at which both are worth the same. 0 for the first.
  double theta = 0;
};

/// At most `levels` (2 or more) points, better quality first; only those that are faster than all
/// before them. The problem's own theta and bound do not count. Empty: nothing fits, or nothing was
/// found in time.
std::vector<SweepPoint> sweep_quality(const Problem& problem, const OptimizeOptions& options,
                                      int levels = 12);

std::string describe(const Problem& problem, const std::vector<SweepPoint>& points);

/// [{max_omega, omega, average_bits, time_s, theta, gap, mix}]
std::string to_json(const Problem& problem, const std::vector<SweepPoint>& points);

/// Speed over omega.
std::string sweep_svg(const Problem& problem, const std::vector<SweepPoint>& points);

}  // namespace llmpq
