// The names of --strategy: how a plan is found. Read by the job's options and by plan/.
#pragma once

#include <cstdint>

namespace llmpq {

/// kJoint: the fastest plan that the planner finds; where it knows no times, one by memory alone,
/// in which spare ranks may idle and stages may be of unlike size. kUniform: a stage of even size
/// on every rank. kManual: exactly what is asked for. kPipeEdge, kAdaBits, kLlmPq: the baselines of
/// plan/planners.hpp. kAll: all of them and joint, for comparison.
enum class Strategy : uint8_t { kJoint, kUniform, kManual, kPipeEdge, kAdaBits, kLlmPq, kAll };

/// Known to the solver of problems only.
constexpr bool is_baseline(Strategy strategy) { return strategy >= Strategy::kPipeEdge; }

}  // namespace llmpq
