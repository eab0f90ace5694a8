// Sums and weights over a row of logits, made of kernels/softmax.hpp. Used by the CPU's sampling.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/softmax.hpp"

namespace llmpq {

/// logits[i] = exp((logits[i] - max) / temperature), in place. `max` is the largest logit,
/// temperature > 0.
void to_weights(std::span<float> logits, float max, float temperature);

/// The sum of all masses; at least 2^44 if one weight is 1.
uint64_t total_mass(std::span<const float> weights);

/// ln(sum exp(logits)), with `max` the largest of them.
double log_sum_exp(std::span<const float> logits, float max);

}  // namespace llmpq
