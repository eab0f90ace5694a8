// Prices for memory and limits that bound the cost of a stage from below, whatever formats its
// layers get: the dual of its linear relaxation.
#pragma once

#include <span>

#include "plan/batching_costs.hpp"

namespace llmpq {

/// So many equal layers, each of which takes one of `options` choices.
struct StageItem {
  int count = 1;
  std::span<const double> cost;
  std::span<const Limits> use;
};

struct StageBound {
  double value = 0;  ///< infinity: no choice fits
  Limits prices{};   ///< seconds for a unit of each limit
};

/// sum over items of min(cost + prices . use) - prices . room: no choice within `room` costs less.
double bound_at(std::span<const StageItem> items, const Limits& room, const Limits& prices);

/// Raises the bound from `start`, one price after the other (each along its tangents); close to the
/// best, not exactly.
StageBound raise_bound(std::span<const StageItem> items, const Limits& room, const Limits& start);

}  // namespace llmpq
