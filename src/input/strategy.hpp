// The names of --strategy: how a plan is found. Read by the job's options and by plan/.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace llmpq {

/// kJoint: the fastest plan that the planner finds; where it knows no times, one by memory alone,
/// in which spare ranks may idle and stages may be of unlike size. kUniform: a stage of even size
/// on every rank. kManual: exactly what is asked for. kPipeEdge, kAdaBits, kLlmPq: the baselines of
/// plan/planners.hpp. kAll: all of them and joint, for comparison.
enum class Strategy : uint8_t { kJoint, kUniform, kManual, kPipeEdge, kAdaBits, kLlmPq, kAll };

struct StrategyName {
  std::string_view name;
  Strategy strategy;
};
/// In the order of the enumeration.
inline constexpr std::array kStrategies{
    StrategyName{"joint", Strategy::kJoint},     StrategyName{"uniform", Strategy::kUniform},
    StrategyName{"manual", Strategy::kManual},   StrategyName{"pipeedge", Strategy::kPipeEdge},
    StrategyName{"adabits", Strategy::kAdaBits}, StrategyName{"llm-pq", Strategy::kLlmPq},
    StrategyName{"all", Strategy::kAll}};

constexpr std::string_view name(Strategy strategy) {
  return kStrategies[static_cast<size_t>(strategy)].name;
}

/// Earlier systems' planners, and the comparison with them: they plan by times alone.
constexpr bool is_baseline(Strategy strategy) { return strategy >= Strategy::kPipeEdge; }

}  // namespace llmpq
