// Numbers rounded to bf16 or f16: the inputs of products, by a kernel of their own
// (round_inputs.cu) or by the one that makes them, and weights in registers
// (dequantize_registers.cuh).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/cuda/floats.cuh"
#include "kernels/ops.hpp"

namespace llmpq::cuda {

/// Stores neighbours of a row of activations, the first of them element `at` of all rows: of y, or
/// rounded if that is wanted.
template <int n>
__device__ inline void store(float* y, const RoundedRows& rounded, int64_t at,
                             const Floats<n>& values) {
  if (rounded.type == DType::kF32) return store(y + at, values);
  Pack<uint16_t, n> halves;
#pragma unroll
  for (int i = 0; i < n; ++i)
    halves.at[i] = rounded.type == DType::kBf16
                       ? __bfloat16_as_ushort(__float2bfloat16_rn(values.at[i]))
                       : __half_as_ushort(__float2half_rn(values.at[i]));
  *reinterpret_cast<Pack<uint16_t, n>*>(static_cast<uint16_t*>(rounded.rows) + at) = halves;
}

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
