// The exact best formats for a range of layers on one device within limits: the least priced
// seconds plus priced omega. Counts are enumerated (format_counts), their omega is bounded by
// price vectors of earlier assignments, and the few counts that remain are assigned exactly.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/batching_costs.hpp"
#include "plan/format_counts.hpp"

namespace llmpq {

/// A range of layers as a stage of one device of a group.
struct StageTask {
  int group = 0;
  int begin = 0, end = 0;
  Limits limits{};  ///< memory, and the most that x_0 and x_1 may be
  Prices prices;
};

struct StageChoice {
  bool feasible = false;
  bool exact = true;  ///< false: too many counts to try all; `cost` is only what was found
  double cost = 0;    ///< priced seconds and omega, ends of the model included
  double omega = 0;
  Load load;
  std::vector<uint8_t> formats;  ///< [layers]
};

/// Price vectors [class x formats] that were exact for some stage: the strongest cuts for the next.
class OmegaPrices {
 public:
  void add(const std::vector<double>& price);
  const std::vector<std::vector<double>>& all() const { return prices_; }

 private:
  static constexpr size_t kMost = 10;
  std::vector<std::vector<double>> prices_;
  size_t next_ = 0;
};

size_t ends_of(const Problem& problem, int begin, int end);
std::vector<int> layers_of_class(const Problem& problem, int begin, int end);

/// What stage and formats cost and use.
StageChoice stage_choice(const Problem& problem, const BatchingCosts& costs, const StageTask& task,
                         std::vector<uint8_t> formats);

/// `limit_prices`: seconds for each unit of the limits, from a bound of the stage; good ones save
/// work. Adds the prices of its assignments to `pool`.
StageChoice solve_stage(const Problem& problem, const BatchingCosts& costs, const StageTask& task,
                        const Limits& limit_prices, OmegaPrices& pool);

/// Calls `visit` for each choice (one for each way to count formats) whose cost is below `cutoff`,
/// with the least omega for its counts. False: there are too many to try.
bool for_each_choice(const Problem& problem, const BatchingCosts& costs, const StageTask& task,
                     double cutoff, OmegaPrices& pool,
                     const std::function<void(const StageChoice&)>& visit);

}  // namespace llmpq
