// The arithmetic of sampling, one function per formula, shared by the CPU's and CUDA's twins.
// Probabilities have a form whose sums are exact: every token has an integer mass, 2^44 for the
// likeliest one, and integers add up to the same number in any order. Every operation is rounded by
// itself (nvcc would fuse), so the same logits give the same bits on every machine.
#pragma once

#include <cstdint>

#include "kernels/host_device.hpp"
#include "kernels/ops.hpp"

namespace llmpq {

/// Single operations on float or double that no compiler may fuse with their neighbours.
namespace rounded {
template <typename Real>
LLMPQ_HOST_DEVICE inline Real add(Real a, Real b) {
#ifdef __CUDA_ARCH__
  if constexpr (sizeof(Real) == sizeof(float)) return __fadd_rn(a, b);
  if constexpr (sizeof(Real) == sizeof(double)) return __dadd_rn(a, b);
#else
  return a + b;
#endif
}
template <typename Real>
LLMPQ_HOST_DEVICE inline Real multiply(Real a, Real b) {
#ifdef __CUDA_ARCH__
  if constexpr (sizeof(Real) == sizeof(float)) return __fmul_rn(a, b);
  if constexpr (sizeof(Real) == sizeof(double)) return __dmul_rn(a, b);
#else
  return a * b;
#endif
}
template <typename Real>
LLMPQ_HOST_DEVICE inline Real divide(Real a, Real b) {
#ifdef __CUDA_ARCH__
  if constexpr (sizeof(Real) == sizeof(float)) return __fdiv_rn(a, b);
  if constexpr (sizeof(Real) == sizeof(double)) return __ddiv_rn(a, b);
#else
  return a / b;
#endif
}
}  // namespace rounded

/// The logit of a token that may not come: -infinity.
inline constexpr float kNever = -__builtin_huge_valf();
inline constexpr float kLargestFloat = 3.40282347e+38f;

LLMPQ_HOST_DEVICE inline bool is_finite(float value) {
  return (__builtin_bit_cast(uint32_t, value) & 0x7fffffffu) < 0x7f800000u;
}
LLMPQ_HOST_DEVICE inline float finite_or_never(float logit) {
  return is_finite(logit) ? logit : kNever;
}

/// An integer that orders like the float (no NaN): larger value, larger key.
LLMPQ_HOST_DEVICE inline uint32_t order_key(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, rounded::add(value, 0.0f));  // -0 becomes +0
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
LLMPQ_HOST_DEVICE inline float value_of_key(uint32_t key) {
  return __builtin_bit_cast(float, key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

/// exp(x) for x in [-64, 0]: relative error below 4e-7. Multiplications and additions only.
LLMPQ_HOST_DEVICE inline float exp_of_negative(float x) {
  using rounded::add, rounded::multiply;
  constexpr float kLog2E = 1.44269504f, kToInteger = 12582912.0f;  // 1.5 * 2^23
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  const float n = add(add(multiply(x, kLog2E), kToInteger), -kToInteger);
  // |r| <= ln(2) / 2; n * kLn2High is exact
  const float r = add(add(x, -multiply(n, kLn2High)), -multiply(n, kLn2Low));
  float sum = 1.0f / 5040;
  sum = add(multiply(sum, r), 1.0f / 720);
  sum = add(multiply(sum, r), 1.0f / 120);
  sum = add(multiply(sum, r), 1.0f / 24);
  sum = add(multiply(sum, r), 1.0f / 6);
  sum = add(multiply(sum, r), 0.5f);
  sum = add(multiply(sum, r), 1.0f);
  sum = add(multiply(sum, r), 1.0f);
  return multiply(sum, __builtin_bit_cast(float, (static_cast<int32_t>(n) + 127) << 23));
}

/// (logit - max) / temperature as exp_of_negative wants it: -64 below that and for NaN.
LLMPQ_HOST_DEVICE inline float scaled_logit(float logit, float max, float temperature) {
  const float scaled = rounded::divide(rounded::add(logit, -max), temperature);
  return scaled > -64.0f ? scaled : -64.0f;
}
/// exp((logit - max) / temperature), where `max` is the largest logit: in [0, 1]. What is below
/// exp(-64) stays there, where it has no mass.
LLMPQ_HOST_DEVICE inline float weight_of(float logit, float max, float temperature) {
  return exp_of_negative(scaled_logit(logit, max, temperature));
}

/// The mass of a weight in [0, 1]: weight * 2^44, rounded down. A vocabulary's masses stay below
/// 2^63 up to half a million tokens.
LLMPQ_HOST_DEVICE inline uint64_t mass(float weight) {
  return static_cast<uint64_t>(static_cast<int64_t>(rounded::multiply(weight, 0x1p44f)));
}

/// Natural logarithm of a normal value > 0, to 2e-15: by atanh's series, without libm.
LLMPQ_HOST_DEVICE inline double natural_log(double value) {
  using rounded::add, rounded::divide, rounded::multiply;
  constexpr double kLn2 = 0.6931471805599453, kSqrtHalf = 0.7071067811865476;
  const uint64_t bits = __builtin_bit_cast(uint64_t, value);
  int exponent = static_cast<int>(bits >> 52) - 1022;
  double fraction = __builtin_bit_cast(  // in [0.5, 1)
      double, (bits & 0xfffffffffffffu) | 0x3fe0000000000000u);
  if (fraction < kSqrtHalf) {
    fraction = multiply(fraction, 2.0);
    --exponent;
  }
  // ln(f) = 2 atanh(s), s = (f - 1) / (f + 1), |s| < 0.1716: 12 odd terms leave less than 1e-19.
  const double s = divide(add(fraction, -1.0), add(fraction, 1.0)), square = multiply(s, s);
  double sum = 0;
  for (int power = 23; power >= 1; power -= 2)
    sum = add(multiply(sum, square), divide(1.0, static_cast<double>(power)));
  return add(multiply(static_cast<double>(exponent), kLn2), multiply(multiply(2.0, s), sum));
}

/// ln(sum exp(logits)) of logits whose largest is `max` and whose masses at temperature 1 are
/// `total` together; the logprob of one of them.
LLMPQ_HOST_DEVICE inline double log_of_mass(float max, uint64_t total) {
  const double sum = rounded::multiply(static_cast<double>(total), 0x1p-44);
  return rounded::add(static_cast<double>(max), natural_log(sum));
}
LLMPQ_HOST_DEVICE inline float logprob_of(float logit, double log_sum) {
  return static_cast<float>(rounded::add(static_cast<double>(logit), -log_sum));
}

/// A logit after the penalties for a token that came `count` times; it stays finite.
LLMPQ_HOST_DEVICE inline float penalized(float logit, const SampleRow& row, int32_t count) {
  using rounded::add, rounded::divide, rounded::multiply;
  if (logit == kNever) return logit;
  float value = logit > 0 ? divide(logit, row.repetition) : multiply(logit, row.repetition);
  value = add(value, -multiply(row.frequency, static_cast<float>(count)));
  if (count > 0) value = add(value, -row.presence);
  if (value != value) return logit;
  value = value < -kLargestFloat ? -kLargestFloat : value;
  return value > kLargestFloat ? kLargestFloat : value;
}

/// The least weight that min-p keeps; the likeliest token's weight is 1.
LLMPQ_HOST_DEVICE inline float least_weight(float min_p) { return min_p > 1.0f ? 1.0f : min_p; }

/// The mass that top-p keeps at least: ceil(top_p * total), within [1, total].
LLMPQ_HOST_DEVICE inline uint64_t nucleus_mass(float top_p, uint64_t total) {
  const double wanted = rounded::multiply(static_cast<double>(top_p), static_cast<double>(total));
  if (!(wanted > 1.0)) return 1;
  const auto below = static_cast<uint64_t>(wanted);
  return below + (static_cast<double>(below) < wanted ? 1 : 0);
}

/// Where 64 random bits fall among `total`: floor(bits / 2^64 * total), in [0, total).
LLMPQ_HOST_DEVICE inline uint64_t drawn_mass(uint64_t bits, uint64_t total) {
#ifdef __CUDA_ARCH__
  return __umul64hi(bits, total);
#else
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>((static_cast<Wide>(bits) * total) >> 64);
#endif
}

}  // namespace llmpq
