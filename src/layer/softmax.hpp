// Probabilities of a row of logits, in a form whose sums are exact: every token has an integer
// mass, 2^44 for the likeliest one. Integers add up to the same number in any order, so a draw or a
// nucleus is the same bits whatever the vector width. Used by the sampler.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

namespace llmpq {

/// exp(x) for x in [-64, 0]: relative error below 4e-7. Multiplications and additions only: the
/// same bits on every machine.
inline float exp_of_negative(float x) {
  constexpr float kLog2E = 1.44269504f, kToInteger = 12582912.0f;  // 1.5 * 2^23
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  const float n = (x * kLog2E + kToInteger) - kToInteger;
  const float r = (x - n * kLn2High) - n * kLn2Low;  // |r| <= ln(2) / 2; n * kLn2High is exact
  float sum = 1.0f / 5040;
  sum = sum * r + 1.0f / 720;
  sum = sum * r + 1.0f / 120;
  sum = sum * r + 1.0f / 24;
  sum = sum * r + 1.0f / 6;
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  return sum * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
}

/// The mass of a weight in [0, 1]: weight * 2^44, rounded down. A vocabulary's masses stay below
/// 2^63 up to half a million tokens.
inline uint64_t mass(float weight) {
  return static_cast<uint64_t>(static_cast<int64_t>(weight * 0x1p44f));
}

/// logits[i] = exp((logits[i] - max) / temperature), in place; weights below exp(-64) stay there,
/// where they have no mass. `max` is the largest logit, temperature > 0.
void to_weights(std::span<float> logits, float max, float temperature);

/// The sum of all masses; at least 2^44 if one weight is 1.
uint64_t total_mass(std::span<const float> weights);

/// ln(sum exp(logits)), with `max` the largest of them.
double log_sum_exp(std::span<const float> logits, float max);

/// Natural logarithm of value > 0, to 2e-15: by atanh's series, without libm.
double natural_log(double value);

}  // namespace llmpq
