// Every way to find a plan for a problem, behind one function: the optimizer, and the baselines
// that it is compared with, all at the problem's own limits on quality. Pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "plan/optimize.hpp"

namespace llmpq {

enum class Planner : uint8_t {
  kJoint,          ///< optimize()
  kUniform,        ///< equal stages, one format
  kPipeEdge,       ///< one format, the partition with the shortest longest decode step
  kAdaBits,        ///< formats by quality and memory alone, then a partition
  kLlmPq,          ///< LLM-PQ's objective, solved by optimize()
  kLlmPqTransfer,  ///< LLM-PQ's objective, by its bitwidth transfer
};

inline constexpr std::array kPlanners{Planner::kJoint,    Planner::kUniform,
                                      Planner::kPipeEdge, Planner::kAdaBits,
                                      Planner::kLlmPq,    Planner::kLlmPqTransfer};

/// "joint", "uniform", "pipeedge", "adabits", "llm-pq", "llm-pq-transfer".
std::string_view name(Planner planner);

struct Planned {
  Planner planner = Planner::kJoint;
  bool found = false;
  Assignment assignment{};  ///< only if found, like score
  Score score{};            ///< by evaluate(): the same formula for all, whatever the planner sees
  std::optional<double> lower_bound{};  ///< of the objective of every plan; only from the optimizer
  std::string note{};                   ///< how it was found, or why there is none
  double solve_s = 0;

  /// 1 - lower bound / objective, where there is a bound.
  std::optional<double> gap() const;
};

/// Error(kUsage) if the problem is none (check_problem). `options.gap` is for the optimizer, alone
/// or inside a baseline. A baseline that is over its time keeps
/// what it has, and its note says so.
Planned plan_by(Planner planner, const Problem& problem, const OptimizeOptions& options);

}  // namespace llmpq
