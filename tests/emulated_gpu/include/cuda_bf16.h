// Stands in for CUDA's header of this name: bf16 in software, rounded to nearest, ties to even.
#pragma once

#include <cstdint>

#include "cuda_runtime.h"
#include "halves.hpp"

struct __nv_bfloat16 {
  unsigned short bits = 0;
  __nv_bfloat16() = default;
  __nv_bfloat16(float value)
      : bits(llmpq::emulated::rounded<llmpq::emulated::Half::kBf16>(value)) {}
  operator float() const { return llmpq::emulated::widened<llmpq::emulated::Half::kBf16>(bits); }
};
struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

inline __nv_bfloat16 __float2bfloat16_rn(float value) { return __nv_bfloat16(value); }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 value) { return value.bits; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
  return {__nv_bfloat16(x), __nv_bfloat16(y)};
}
