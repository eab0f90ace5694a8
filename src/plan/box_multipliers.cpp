// The multipliers of a box: which share of the queue's two terms, and which price of omega, give
// the highest bound.
#include <algorithm>
#include <cmath>

#include "plan/box.hpp"

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-12;
constexpr double kFine =
    0.1;  // of what is enough: splitting a box does not make up for multipliers
constexpr double kShareStep = 0.25, kOmegaStep = 1.5;  // from the multipliers of the parent box
constexpr int kWidenings = 6;  // of the multipliers' range, where there is little to gain in it

}  // namespace

/// The cost of a result's path as a plane over the multipliers.
MultiplierPlane BoxSolver::plane_of(const Box& box, const PathResult& result) {
  const BatchingCosts& costs = state(box.batching).costs;
  const double busiest = costs.round_busiest * box.low[1], queued = queue(box, result);
  const double most = problem_.max_omega.value_or(0);
  return {constant(box, {0, 0}) + costs.sum_prefill * result.prefill_sum +
              costs.sum_decode * result.decode_sum + queued + problem_.theta * result.omega,
          busiest - queued, problem_.max_omega ? result.omega - most : 0};
}

/// How far from the multipliers of the first path to look: everywhere for the first box of a
/// batching, near by for those that inherited them.
MultiplierRange BoxSolver::range_around(const Box& box, const PathResult& first) const {
  MultiplierRange range;
  if (problem_.max_omega)
    range.most_omega = 100 * (1 + std::abs(first.bound)) / std::max(*problem_.max_omega, 1e-9);
  if (box.is_rough) return range;
  range.least_share = std::max(0.0, box.multipliers.share - kShareStep);
  range.most_share = std::min(1.0, box.multipliers.share + kShareStep);
  if (box.multipliers.omega * problem_.max_omega.value_or(0) <= 1e-4 * std::abs(first.bound))
    return range;
  range.least_omega = box.multipliers.omega / kOmegaStep;
  range.most_omega = std::min(range.most_omega, box.multipliers.omega * kOmegaStep);
  return range;
}

/// The best point at the edge of the range: it may be farther off than was thought.
void BoxSolver::widen(MultiplierRange& range, const MultiplierPoint& at) const {
  if (at.share >= range.most_share) range.most_share = std::min(1.0, at.share + 2 * kShareStep);
  if (at.share <= range.least_share) range.least_share = std::max(0.0, at.share - 2 * kShareStep);
  if (at.omega >= range.most_omega) range.most_omega *= 4 * kOmegaStep;
  if (at.omega <= range.least_omega) range.least_omega /= 4 * kOmegaStep;
}

/// Raises the bound of `best` by other multipliers. Returns the path to split by: one that keeps
/// the bound on omega, if there is one. The bound is infinite if there is none in the whole box.
PathResult BoxSolver::fit_multipliers(Box& box, PathResult& best, int steps) {
  PathResult guide = best;
  std::vector<MultiplierPlane> planes;
  const auto add = [&](const PathResult& result) {
    planes.push_back(plane_of(box, result));
    if (keeps_omega(result) &&
        (!keeps_omega(guide) || true_cost(box, result) < true_cost(box, guide)))
      guide = result;
  };
  add(best);
  MultiplierRange range = range_around(box, best);
  if (!keeps_omega(best) && (box.multipliers.omega == 0 || !incumbent_.found())) {
    const PathResult least = cheapest_path(box, {0, 0, 1}, {0, kInfinity, true});
    if (least.bound > *problem_.max_omega * (1 + 1e-9)) {
      best.bound = kInfinity;
      return guide;
    }
    if (least.is_plan) add(least);
  }
  for (int i = 0; i < steps && best.bound < incumbent_.target(); ++i) {
    const double little = kFine * enough(best.bound) + kRounding * std::abs(best.bound);
    MultiplierPoint next = highest_point(planes, range);
    for (int k = 0; k < kWidenings && next.height - best.bound <= little; ++k) {
      widen(range, next);
      next = highest_point(planes, range);
    }
    if (next.height - best.bound <= little) break;
    const PathResult result = solve_at(box, {next.share, next.omega});
    if (result.bound > best.bound) best = result;
    if (!result.is_plan) break;
    add(result);
    widen(range, next);
  }
  return guide;
}

/// Where devices are priced, paths are parts of a mixture and say nothing of other multipliers: so
/// steps up and down, halved when neither helps.
void BoxSolver::climb_multipliers(Box& box, PathResult& best, int steps) {
  double share_step = box.is_rough ? -0.5 : -0.125, omega_step = box.is_rough ? 4 : 1.5;
  if (best.multipliers.share + share_step < 0) share_step = -share_step;
  int failed = 0;
  for (int i = 0; i < steps && best.bound < incumbent_.target(); ++i) {
    Multipliers next = best.multipliers;
    const bool for_omega = problem_.max_omega && i % 2 == 1;
    if (!for_omega)
      next.share = std::clamp(next.share + share_step, 0.0, 1.0);
    else if (next.omega > 0)
      next.omega *= omega_step;
    else
      next.omega = 0.01 * std::abs(best.bound) / std::max(*problem_.max_omega, 1e-9);
    if (next == best.multipliers) {
      share_step = -share_step;
      continue;
    }
    const PathResult result = solve_at(box, next);
    if (result.bound > best.bound) {
      best = result;
      failed = 0;
      continue;
    }
    (for_omega ? omega_step : share_step) = for_omega ? 1 / omega_step : -share_step;
    if (++failed % 2 == 0) {
      share_step /= 2;
      omega_step = std::sqrt(omega_step);
    }
  }
}

bool BoxSolver::keeps_omega(const PathResult& result) const {
  return !problem_.max_omega || result.omega <= *problem_.max_omega;
}

double BoxSolver::true_cost(const Box& box, const PathResult& result) {
  return state(box.batching).costs.time(result.prefill_sum, result.decode_sum, result.x) +
         problem_.theta * result.omega;
}

}  // namespace llmpq
