// The names of --indicator: by what a layer's loss from rounding is foreseen. Read by the job's
// options and by profile/.
#pragma once

#include <cstdint>

namespace llmpq {

/// kRelative: noise in the residual stream, in parts of the stream. kVariance: LLM-PQ's. kHessian:
/// squared errors of the products. kRandom: a draw.
enum class Indicator : uint8_t { kRelative, kVariance, kHessian, kRandom };

}  // namespace llmpq
