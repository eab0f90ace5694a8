#include "base/estimate.hpp"

#include <algorithm>
#include <cmath>

namespace llmpq {

Estimate mean_of_groups(std::span<const GroupSum> groups) {
  double sum = 0, count = 0, squared = 0;
  for (const GroupSum& group : groups) {
    sum += group.sum;
    count += group.count;
  }
  Estimate estimate{sum / count, std::nullopt};
  if (groups.size() < 2) return estimate;
  for (const GroupSum& group : groups) {
    const double excess = group.sum - estimate.value * group.count;
    squared += excess * excess;
  }
  const auto n = static_cast<double>(groups.size());
  estimate.error = std::sqrt(squared * n / (n - 1)) / count;
  return estimate;
}

Estimate exp_of(const Estimate& estimate) {
  Estimate result{std::exp(estimate.value), std::nullopt};
  if (estimate.error) result.error = result.value * *estimate.error;
  return result;
}

Share95 wilson_share(int64_t successes, int64_t trials) {
  constexpr double kZ = 1.959963984540054;
  const auto n = static_cast<double>(trials);
  const double share = static_cast<double>(successes) / n, square = kZ * kZ / n;
  const double middle = share + square / 2;
  const double half = kZ * std::sqrt(share * (1 - share) / n + square / (4 * n));
  return {share, std::max(0.0, (middle - half) / (1 + square)),
          std::min(1.0, (middle + half) / (1 + square))};
}

}  // namespace llmpq
