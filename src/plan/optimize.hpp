// The optimizer: the best plan of a problem, with a proof of how good it is. Best-first search over
// boxes (box.hpp) of all batchings at once. Pure: no files, no MPI, and the clock is handed in.
#pragma once

#include <functional>
#include <limits>
#include <optional>

#include "plan/evaluate.hpp"
#include "plan/problem.hpp"

namespace llmpq {

struct OptimizeOptions {
  double gap = 0.005;  ///< stop when 1 - lower bound / objective is at most this; 0: exact
  double time_limit_s = 10;
  std::function<double()> now_s;  ///< seconds since some fixed moment; must be given
  /// Of the devices that may be used so far; where there can be more, devices are counted group by
  /// group if layers are alike, else priced.
  int64_t most_states = 4096;
  /// Plans of at least this objective are not looked for.
  double worth = std::numeric_limits<double>::infinity();
};

enum class OptimizeStatus : uint8_t {
  kFound,
  kInfeasible,   ///< proven: no plan keeps all rules
  kNothingFound  ///< no plan below options.worth, or the time was over before one was found
};

struct Optimum {
  OptimizeStatus status = OptimizeStatus::kNothingFound;
  Assignment assignment;  ///< only if found, like score
  Score score;
  double lower_bound = 0;  ///< of the objective of every plan
  int64_t boxes = 0;       ///< how many were bounded
  double solve_s = 0;

  double gap() const { return score.objective > 0 ? 1 - lower_bound / score.objective : 0; }
};

/// Error(kUsage) if the problem is none (check_problem).
Optimum optimize(const Problem& problem, const OptimizeOptions& options);

}  // namespace llmpq
