// Which layers of a range get which format, when it is fixed how many get each: the exact least
// sum of omega, and prices that prove it. Prices of one range bound every other range and count
// from below, which is what the optimizer's search lives on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "plan/problem.hpp"

namespace llmpq {

struct FormatAssignment {
  double omega = 0;
  std::vector<uint8_t> format;  ///< [layers given]
  /// [formats]: for any set of layers and any counts n_f of usable formats, the least sum of omega
  /// is at least sum_f n_f price_f + sum_layers min_f (omega_f - price_f); equal for this one.
  std::vector<double> price;
};

/// `layers`: of one class. `counts` [formats]: how many of them get each format, 0 for those not
/// in `usable`. `start` [formats]: prices to begin with; good ones save work. Negative cycles are
/// cancelled as shortest augmenting paths between formats: O(moved layers x layers x formats).
FormatAssignment assign_formats(const Problem& problem, std::span<const int> layers,
                                std::span<const int> counts, std::span<const uint8_t> usable,
                                std::span<const double> start);

}  // namespace llmpq
