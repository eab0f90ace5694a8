// One batching as the optimizer computes with it. Both forms of the time (evaluate.hpp) become one:
//   time = sum_prefill SP + sum_decode SD + busiest[0] X0 + busiest[1] X1
//          + max(round_busiest X1, queue_prefill SP + queue_decode SD)
// with X_k = the largest x_k of a stage or link: its prefill and its decode seconds (separated), or
// nothing and its load (interleaved, mixed).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "plan/problem.hpp"

namespace llmpq {

/// Memory and the two x_k: what a stage must keep within limits.
constexpr size_t kLimits = 3;
using Limits = std::array<double, kLimits>;

/// What a layer, the ends of the model on a stage, or a link take.
struct Load {
  double prefill_s = 0, decode_s = 0;
  Limits use{};  ///< bytes, x_0, x_1
};

/// Seconds for a second of prefill and of decode on any stage, and for a unit of omega.
struct Prices {
  double prefill = 0, decode = 0, omega = 0;
  double of(const Load& load) const { return prefill * load.prefill_s + decode * load.decode_s; }
  bool operator==(const Prices&) const = default;
};

/// Bits of `ends`: which ends of the model a stage has.
constexpr size_t kFirst = 1, kLast = 2;

struct BatchingCosts {
  double sum_prefill = 0, sum_decode = 0;
  std::array<double, 2> busiest{};
  double round_busiest = 0, queue_prefill = 0, queue_decode = 0;
  std::vector<std::vector<std::vector<Load>>> layer;       ///< [kind][class][format]
  std::vector<std::vector<std::vector<uint8_t>>> formats;  ///< [kind][class]: worth using
  std::vector<std::array<Load, 4>> ends;                   ///< [kind][ends], workspace included
  std::vector<std::vector<Load>> link;                     ///< [from group][to group]

  /// The time from sums and maxima.
  double time(double prefill_sum, double decode_sum, const std::array<double, 2>& x) const;
  /// Prices of the sums when the maximum of the queue is bounded from below by `share` of its first
  /// term and 1 - share of its second.
  Prices prices(double share, double omega_price) const;
};

/// `with_omega`: quality counts, so that a format may be worth using for its omega alone.
BatchingCosts batching_costs(const Problem& problem, const Batching& batching, bool with_omega);

}  // namespace llmpq
