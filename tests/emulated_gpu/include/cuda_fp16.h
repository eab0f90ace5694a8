// Stands in for CUDA's header of this name: f16 in software, rounded to nearest, ties to even.
#pragma once

#include <cstdint>

#include "cuda_runtime.h"

struct __half_raw {
  unsigned short x;
};

namespace llmpq::emulated {
inline float half_to_float(unsigned short bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = bits >> 10 & 31, mantissa = bits & 1023;
  if (exponent == 0) {  // zero, subnormal: an integer times 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return __uint_as_float(sign | __float_as_uint(magnitude));
  }
  const uint32_t widened = exponent == 31 ? 255 : exponent + 112;
  return __uint_as_float(sign | widened << 23 | mantissa << 13);
}
inline unsigned short float_to_half(float value) {
  const uint32_t bits = __float_as_uint(value), magnitude = bits & 0x7fffffffu;
  const auto sign = static_cast<unsigned short>(bits >> 16 & 0x8000u);
  if (magnitude > 0x7f800000u) return 0x7fff;          // NaN, as the hardware has it
  if (magnitude >= 0x477ff000u) return sign | 0x7c00;  // 65520 and more: infinity
  if (magnitude < 0x38800000u) {  // below 2^-14: a multiple of 2^-24, which adding 0.5 rounds to
    const float shifted = __uint_as_float(magnitude) + 0.5f;
    return sign | static_cast<unsigned short>(__float_as_uint(shifted) - 0x3f000000u);
  }
  const uint32_t odd = magnitude >> 13 & 1;
  return sign | static_cast<unsigned short>((magnitude - (112u << 23) + 0xfffu + odd) >> 13);
}
}  // namespace llmpq::emulated

struct __half {
  unsigned short bits = 0;
  __half() = default;
  __half(__half_raw raw) : bits(raw.x) {}
  __half(float value) : bits(llmpq::emulated::float_to_half(value)) {}
  operator float() const { return llmpq::emulated::half_to_float(bits); }
};
struct alignas(4) __half2 {
  __half x, y;
};

inline __half __float2half_rn(float value) { return __half(value); }
inline float __half2float(__half value) { return value; }
inline unsigned short __half_as_ushort(__half value) { return value.bits; }
inline __half __ushort_as_half(unsigned short bits) { return __half_raw{bits}; }
inline __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
inline float2 __half22float2(__half2 two) { return {two.x, two.y}; }
/// A difference of two f16 is rounded to f32 without harm: that has more than twice their digits.
inline __half2 __hsub2(__half2 a, __half2 b) {
  return {__half(static_cast<float>(a.x) - static_cast<float>(b.x)),
          __half(static_cast<float>(a.y) - static_cast<float>(b.y))};
}
