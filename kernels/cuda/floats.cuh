// Rows of floats as kernels read and write them: four neighbours at a time where every row lies on
// 16 bytes, else one by one. A kernel is written once, for packs of n.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

namespace llmpq::cuda {

template <typename T, int n>
struct alignas(sizeof(T) * n) Pack {
  T at[n];
};
template <int n>
using Floats = Pack<float, n>;

template <int n, typename T>
__device__ inline Pack<T, n> load(const T* from) {
  return *reinterpret_cast<const Pack<T, n>*>(from);
}
template <int n>
__device__ inline void store(float* to, const Floats<n>& values) {
  *reinterpret_cast<Floats<n>*>(to) = values;
}

/// 16-bit elements of tables, widened exactly.
struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};
__device__ inline float widened(float value) { return value; }
__device__ inline float widened(Bf16 value) {
  return __uint_as_float(static_cast<uint32_t>(value.bits) << 16);
}
__device__ inline float widened(F16 value) { return __half2float(__ushort_as_half(value.bits)); }

/// Whether rows of `width` elements can be read in packs of four, from each of these addresses.
template <typename... Pointers>
bool packs_of_four(int64_t width, Pointers... rows) {
  return width % 4 == 0 && ((reinterpret_cast<uintptr_t>(rows) % 16 == 0) && ...);
}

}  // namespace llmpq::cuda
