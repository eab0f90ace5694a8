// What no plan of a batching can go below, from sums and counts alone: microseconds of work that
// spare most batchings a closer look.
#pragma once

#include "plan/batching_costs.hpp"

namespace llmpq {

struct CostFloor {
  double prefill_sum = 0, decode_sum = 0, omega = 0;
  std::array<double, 2> x{};  ///< of the two maxima; infinity: the devices hold too few layers

  /// sum_prefill SP + sum_decode SD + theta omega.
  double sums(const Problem& problem, const BatchingCosts& costs) const;
  /// The objective where the maxima are at least `low`.
  double objective(const Problem& problem, const BatchingCosts& costs,
                   const std::array<double, 2>& low) const;
};

CostFloor cost_floor(const Problem& problem, const BatchingCosts& costs);

struct BatchingFloor {
  double objective = 0;  ///< of every plan of the batching at the least
  int batching = 0;
};

/// The batchings under which the devices may hold all layers, the lowest floor first: whoever tries
/// them one by one can stop where the floor reaches what was found.
std::vector<BatchingFloor> batchings_by_floor(const Problem& problem);

}  // namespace llmpq
