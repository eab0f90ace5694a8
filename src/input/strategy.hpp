// The names of --strategy: how a plan is found. Read by the job's options and by plan/.
#pragma once

#include <cstdint>

namespace llmpq {

/// kJoint: the fastest plan that the planner finds; where it knows no times, one by memory alone,
/// in which spare ranks may idle and stages may be of unlike size. kUniform: a stage of even size
/// on every rank. kManual: exactly what is asked for.
enum class Strategy : uint8_t { kJoint, kUniform, kManual };

}  // namespace llmpq
