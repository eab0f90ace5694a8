#include "plan/multiplier_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace llmpq {
namespace {

double height(const std::vector<MultiplierPlane>& planes, double share, double omega) {
  double least = std::numeric_limits<double>::infinity();
  for (const MultiplierPlane& plane : planes) least = std::min(least, plane.at(share, omega));
  return least;
}

/// The highest point on a line of equal share: two planes meet there, or the range ends.
MultiplierPoint highest_at(const std::vector<MultiplierPlane>& planes, const MultiplierRange& range,
                           double share) {
  MultiplierPoint best{share, range.least_omega, height(planes, share, range.least_omega)};
  const auto consider = [&](double omega) {
    if (!(omega >= range.least_omega && omega <= range.most_omega)) return;
    const double value = height(planes, share, omega);
    if (value > best.height) best = {share, omega, value};
  };
  consider(range.most_omega);
  for (size_t i = 0; i < planes.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      consider((planes[i].at(share, 0) - planes[j].at(share, 0)) /
               (planes[j].by_omega - planes[i].by_omega));
  return best;
}

}  // namespace

MultiplierPoint highest_point(const std::vector<MultiplierPlane>& planes,
                              const MultiplierRange& range) {
  constexpr int kHalvings = 24;
  double low = range.least_share, high = range.most_share;
  MultiplierPoint best = highest_at(planes, range, low);
  const auto consider = [&](double share) {
    const MultiplierPoint point = highest_at(planes, range, share);
    if (point.height > best.height) best = point;
    return point.height;
  };
  consider(high);
  // The height is concave in the share: thirds that are lower are left out.
  for (int i = 0; i < kHalvings && high - low > 1e-6; ++i) {
    const double left = low + (high - low) / 3, right = high - (high - low) / 3;
    if (consider(left) < consider(right))
      low = left;
    else
      high = right;
  }
  return best;
}

}  // namespace llmpq
