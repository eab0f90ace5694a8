// f32 arithmetic without denormals, one number at a time in plain C++: an operand that is denormal
// counts as zero (DAZ), and so does a result that is below 2^-126 once it is rounded to 24 bits
// with any exponent (FTZ, as x86-64 has it). NaN and infinity as ever. What products of bf16
// numbers are defined with (matmul_bf16.hpp).
#pragma once

namespace llmpq {
namespace {

inline constexpr float kSmallestNormal = 0x1p-126f;

/// A denormal becomes zero, with its sign.
[[gnu::always_inline]] inline float without_denormal(float value) {
  return __builtin_fabsf(value) < kSmallestNormal ? __builtin_copysignf(0.0f, value) : value;
}

/// a * b + c with one rounding; a and b are bf16 numbers.
[[gnu::always_inline]] inline float fma_flushed(float a, float b, float c) {
  a = without_denormal(a);
  b = without_denormal(b);
  c = without_denormal(c);
  const float result = __builtin_fmaf(a, b, c);
  if (!(__builtin_fabsf(result) <= kSmallestNormal)) return result;
  // Just below 2^-126 gradual underflow rounds to one bit less: what is tiny is seen at 2^64 times
  // the size. All terms fit there: with one of 2^-100 or more the sum, a multiple of that one's
  // last bit and of the 16-bit product's, would be zero or larger than this.
  constexpr float kScale = 0x1p64f;
  const bool a_is_smaller = __builtin_fabsf(a) < __builtin_fabsf(b);
  const float scaled = a_is_smaller ? __builtin_fmaf(a * kScale, b, c * kScale)
                                    : __builtin_fmaf(a, b * kScale, c * kScale);
  return __builtin_fabsf(scaled) < kSmallestNormal * kScale ? __builtin_copysignf(0.0f, scaled)
                                                            : result;
}

/// a + b. A sum is a multiple of its operands' last bits: what is tiny is exact.
[[gnu::always_inline]] inline float add_flushed(float a, float b) {
  return without_denormal(without_denormal(a) + without_denormal(b));
}

}  // namespace
}  // namespace llmpq
