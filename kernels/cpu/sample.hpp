// Choosing tokens and scoring them on the CPU, a row of logits at a time.
#pragma once

#include "kernels/ops.hpp"

namespace llmpq {

/// Ops::sample and Ops::score: the rows are spread over the context's threads.
void sample(Context& context, const SampleArgs& args);
void score(Context& context, const ScoreArgs& args);

}  // namespace llmpq
