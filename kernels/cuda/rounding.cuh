// Numbers rounded to bf16 or f16 two and eight at a time: the inputs of products (round_inputs.cu),
// and weights in registers (dequantize_registers.cuh).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace llmpq::cuda {

__device__ inline uint32_t round_two(float low, float high, __half) {
  const __half2 two = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&two);
}
__device__ inline uint32_t round_two(float low, float high, __nv_bfloat16) {
  const __nv_bfloat162 two = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&two);
}
template <typename T>
__device__ inline uint4 round_eight(const float (&v)[8]) {
  return {round_two(v[0], v[1], T()), round_two(v[2], v[3], T()), round_two(v[4], v[5], T()),
          round_two(v[6], v[7], T())};
}

/// Whether every row of k begins at a multiple of 16 bytes.
inline bool has_vectors(const float* x, int64_t k) {
  return k % 4 == 0 && reinterpret_cast<uintptr_t>(x) % 16 == 0;
}

/// Inputs [begin, begin + 8) of a row of k, zeros past its end. `vectors` is has_vectors().
__device__ inline void load_eight(const float* row, int64_t k, int64_t begin, bool vectors,
                                  float (&value)[8]) {
  if (vectors && begin + 8 <= k) {
    const float4 a = *reinterpret_cast<const float4*>(row + begin);
    const float4 b = *reinterpret_cast<const float4*>(row + begin + 4);
    value[0] = a.x, value[1] = a.y, value[2] = a.z, value[3] = a.w;
    value[4] = b.x, value[5] = b.y, value[6] = b.z, value[7] = b.w;
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) value[i] = begin + i < k ? row[begin + i] : 0.0f;
}

}  // namespace llmpq::cuda
