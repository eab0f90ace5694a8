// Where to try multipliers next: the bound of a box is a concave function of its two multipliers,
// of which every path that was found gives a plane above it. The highest point below all planes is
// the next to try (Kelley's cutting planes); its height is what the bound can still reach.
#pragma once

#include <vector>

namespace llmpq {

/// cost + share x by_share + omega x by_omega.
struct MultiplierPlane {
  double cost = 0, by_share = 0, by_omega = 0;
  double at(double share, double omega) const { return cost + share * by_share + omega * by_omega; }
};

/// The multipliers that may be tried.
struct MultiplierRange {
  double least_share = 0, most_share = 1;
  double least_omega = 0, most_omega = 0;
};

struct MultiplierPoint {
  double share = 0, omega = 0;
  double height = 0;  ///< the least of the planes there
};

/// The highest point in the range below all planes (there is at least one).
MultiplierPoint highest_point(const std::vector<MultiplierPlane>& planes,
                              const MultiplierRange& range);

}  // namespace llmpq
