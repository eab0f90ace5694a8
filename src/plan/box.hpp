// A box: all plans of one batching whose two maxima (batching_costs) lie in two intervals. Its
// bound is the cost of the lower ends plus the cheapest path within the upper ends.
#pragma once

#include <array>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "plan/group_shares.hpp"
#include "plan/incumbent.hpp"
#include "plan/multiplier_model.hpp"
#include "plan/shortest_path.hpp"
#include "plan/stage_bounds.hpp"

namespace llmpq {

/// What multiplies constraints into the cost; every value gives a valid bound.
struct Multipliers {
  double share = 1;  ///< of the first term of the queue's maximum (BatchingCosts::prices)
  double omega = 0;  ///< seconds for a unit of omega beyond theta, for the bound on omega
  bool operator==(const Multipliers&) const = default;
};

struct Box {
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  int batching = 0;
  std::array<double, 2> low{}, high{kInfinity, kInfinity};
  double bound = 0;
  double line_bound = 0;  ///< at these multipliers: it grows by weights() x what x_k is above low
  Multipliers multipliers;
  std::vector<double> device_prices;  ///< [group], where the graph does not count devices
  bool is_rough = true;               ///< the bound is a guess from below, no path was looked for
  int effort = 0;  ///< how often it was tried harder because it could not be split
};

/// The cheapest path of a box at some multipliers.
struct PathResult {
  double bound = std::numeric_limits<double>::infinity();
  Multipliers multipliers;
  bool is_plan = false;  ///< all stages have formats; the rest is about them
  double prefill_sum = 0, decode_sum = 0, omega = 0;
  std::array<double, 2> x{};
};

class BoxSolver {
 public:
  BoxSolver(const Problem& problem, const DeviceGraph& graph, Incumbent& incumbent);

  /// A bound from sums and counts alone, for boxes that may never be looked at.
  Box rough_box(int batching);

  /// Lowers the upper ends to where plans below the target can be.
  void narrow(Box& box);

  /// Raises the bound of the box with the multipliers that suit it, and offers the plans that it
  /// meets. Returns the path of the best bound. `steps`: how many multipliers are tried at most.
  PathResult solve(Box& box, int steps);

  /// Tries all plans of the box below the target. False: there are too many for `budget`.
  bool enumerate(Box& box, int64_t budget, const std::function<bool()>& is_late);

  /// What the objective grows by for a unit of x_k at the least.
  std::array<double, 2> weights(const Box& box);
  /// The same at the most.
  std::array<double, 2> full_weights(const Box& box);
  /// Whether more effort gives a box that cannot be split a better bound: prices of devices do.
  bool prices_devices() const { return !graph_.counts && !shares_; }

  /// What of the path's cost above the bound is due to each x_k lying above the lower end.
  std::array<double, 2> slacks(const Box& box, const PathResult& path);

 private:
  /// When a path need not be refined further.
  struct Effort {
    double constant = 0;     ///< beside the path
    double worth = 0;        ///< bounds from here on end it
    bool for_omega = false;  ///< any path with little enough omega will do
  };

  BatchingState& state(int batching);
  double constant(const Box& box, const Multipliers& multipliers);
  PathResult solve_at(Box& box, const Multipliers& multipliers);
  PathResult cheapest_path(Box& box, const Prices& prices, const Effort& effort);
  double price_devices(Box& box, double worth);
  std::vector<double> least_omega_to_go(Box& box);
  double solve_stages(const Box& box, const std::vector<PathStage>& path, PathResult& result);
  void measure(const Box& box, const std::vector<BuiltStage>& stages, PathResult& result);
  double enough(double bound) const;
  double queue(const Box& box, const PathResult& result);
  MultiplierPlane plane_of(const Box& box, const PathResult& result);
  MultiplierRange range_around(const Box& box, const PathResult& first) const;
  void widen(MultiplierRange& range, const MultiplierPoint& at) const;
  PathResult fit_multipliers(Box& box, PathResult& best, int steps);
  void climb_multipliers(Box& box, PathResult& best, int steps);
  bool keeps_omega(const PathResult& result) const;
  double true_cost(const Box& box, const PathResult& result);

  const Problem& problem_;
  const DeviceGraph& graph_;
  Incumbent& incumbent_;
  const bool with_omega_;
  std::vector<std::unique_ptr<BatchingState>> states_;
  std::vector<OmegaPrices> pools_;
  StageBounds bounds_;
  ShortestPath path_;
  std::optional<GroupShares> shares_;  ///< where devices are too many for the graph to count
};

}  // namespace llmpq
