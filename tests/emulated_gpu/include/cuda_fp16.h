// Stands in for CUDA's header of this name: f16 in software, rounded to nearest, ties to even.
#pragma once

#include <cstdint>

#include "cuda_runtime.h"
#include "halves.hpp"

struct __half_raw {
  unsigned short x;
};

struct __half {
  unsigned short bits = 0;
  __half() = default;
  __half(__half_raw raw) : bits(raw.x) {}
  __half(float value) : bits(llmpq::emulated::rounded<llmpq::emulated::Half::kF16>(value)) {}
  operator float() const { return llmpq::emulated::widened<llmpq::emulated::Half::kF16>(bits); }
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
