// exp, tanh, erf and the activation functions made of them, sixteen lanes at a time: one polynomial
// on every instruction set, no branches, every fma written. Included after one of the lanes_*.hpp.
// Largest errors found against double (tests/kernels/math_test.cpp): exp 1.1, tanh 1.6, erf 1.2
// ulp.
#pragma once

#include <cstdint>

namespace llmpq {
namespace {

/// Adding this rounds a float below 2^22 to an integer, ties to even.
constexpr float kRoundingShift = 12582912.0f;

LLMPQ_INLINE F32x16 round_even(F32x16 x) {
  const F32x16 shift = broadcast(kRoundingShift);
  return (x + shift) - shift;
}

/// Coefficients from the highest power down: c[0] x^(n-1) + ... + c[n-1].
template <int n>
LLMPQ_INLINE F32x16 polynomial(F32x16 x, const float (&c)[n]) {
  F32x16 sum = broadcast(c[0]);
#pragma GCC unroll 16
  for (int i = 1; i < n; ++i) sum = fma(sum, x, broadcast(c[i]));
  return sum;
}

/// e^x: x = n ln 2 + r with |r| <= ln 2 / 2; e^r = 1 + r + r^2 p(r), p fitted to 2^-27.
/// 0 below -104, infinity above 88.73, subnormal results rounded gradually, NaN stays NaN.
LLMPQ_INLINE F32x16 exp(F32x16 x) {
  static constexpr float kP[] = {0.0013926926614f, 0.00836377387441f, 0.0416665501103f,
                                 0.166665733819f, 0.5f};
  x = min(broadcast(89.0f), max(broadcast(-104.0f), x));
  const F32x16 shift = broadcast(kRoundingShift);
  const F32x16 n = fma(x, broadcast(0x1.715476p+0f), shift) - shift;
  F32x16 r = fma(n, broadcast(-0x1.62e430p-1f), x);
  r = fma(n, broadcast(0x1.05c610p-29f), r);
  const F32x16 p = fma(r * r, polynomial(r, kP), r) + broadcast(1.0f);
  return times_power_of_two(p, n);
}

/// Below 0.625 an odd polynomial, above 1 - 2 / (e^2|x| + 1).
LLMPQ_INLINE F32x16 tanh(F32x16 x) {
  static constexpr float kP[] = {0.00228962618631f, -0.00834118892543f, 0.0217680754959f,
                                 -0.0539591558022f, 0.13333303118f,     -0.333333331692f};
  const F32x16 magnitude = abs(x);
  const F32x16 square = x * x;
  const F32x16 small = fma(magnitude * square, polynomial(square, kP), magnitude);
  const F32x16 e = exp(magnitude + magnitude);
  const F32x16 large = broadcast(1.0f) - broadcast(2.0f) / (e + broadcast(1.0f));
  return copysign(select(less(magnitude, broadcast(0.625f)), small, large), x);
}

/// Below 1 an odd polynomial, above 1 - e^q(|x| - 2.5) with q = log erfc; 1 from 4.1 on.
LLMPQ_INLINE F32x16 erf(F32x16 x) {
  static constexpr float kSmall[] = {-9.66704457148e-6f, 0.000112659590256f, -0.000848408040553f,
                                     0.00522103180786f,  -0.0268654307277f,  0.112837824952f,
                                     -0.37612638468f,    0.128379167062f};
  static constexpr float kLogErfc[] = {-7.58360064173e-8f, 1.59594066293e-6f,  -1.29183942151e-5f,
                                       7.74674161248e-5f,  -4.20816508035e-4f, 0.00216507087608f,
                                       -0.0108580894591f,  -0.943893606552f,   -5.35268075447f,
                                       -7.80681527892f};
  const F32x16 magnitude = abs(x);
  const F32x16 square = x * x;
  const F32x16 small = fma(magnitude, polynomial(square, kSmall), magnitude);
  const F32x16 shifted = min(broadcast(4.1f), magnitude) - broadcast(2.5f);
  const F32x16 large = broadcast(1.0f) - exp(polynomial(shifted, kLogErfc));
  const F32x16 result = select(less(magnitude, broadcast(1.0f)), small, large);
  return copysign(select(less(magnitude, broadcast(__builtin_inff())), result, x / magnitude), x);
}

LLMPQ_INLINE F32x16 silu(F32x16 x) {
  const F32x16 one = broadcast(1.0f);
  return x / (one + exp(broadcast(0.0f) - x));
}

/// max(x, 0); NaN stays NaN.
LLMPQ_INLINE F32x16 relu(F32x16 x) { return max(broadcast(0.0f), x); }

LLMPQ_INLINE F32x16 gelu_erf(F32x16 x) {
  const F32x16 half = broadcast(0.5f) * x;
  return fma(half, erf(x * broadcast(0.70710678118654752f)), half);
}

/// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
LLMPQ_INLINE F32x16 gelu_tanh(F32x16 x) {
  const F32x16 cubic = fma(broadcast(0.044715f) * (x * x), x, x);
  const F32x16 half = broadcast(0.5f) * x;
  return fma(half, tanh(broadcast(0.79788456080286536f) * cubic), half);
}

}  // namespace
}  // namespace llmpq
