// Stands in for CUDA's header of this name: bf16 in software, rounded to nearest, ties to even.
#pragma once

#include <cstdint>

#include "cuda_runtime.h"

struct __nv_bfloat16 {
  unsigned short bits = 0;
  __nv_bfloat16() = default;
  __nv_bfloat16(float value) {
    const uint32_t all = __float_as_uint(value);
    const bool is_nan = (all & 0x7fffffffu) > 0x7f800000u;
    bits = is_nan ? 0x7fff : static_cast<unsigned short>((all + 0x7fffu + (all >> 16 & 1)) >> 16);
  }
  operator float() const { return __uint_as_float(static_cast<uint32_t>(bits) << 16); }
};
struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

inline __nv_bfloat16 __float2bfloat16_rn(float value) { return __nv_bfloat16(value); }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 value) { return value.bits; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
  return {__nv_bfloat16(x), __nv_bfloat16(y)};
}
