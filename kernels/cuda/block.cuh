// Sums and maxima over the threads of a warp and of a block, in one fixed order. The functions of a
// block are called by all of its threads, which are whole warps; each may be called repeatedly.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace llmpq::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kWholeWarp = 0xffffffffu;

__device__ inline int lane_id() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ inline int warp_id() { return static_cast<int>(threadIdx.x) / kWarp; }
__device__ inline int warp_count() { return static_cast<int>(blockDim.x) / kWarp; }

struct Sum {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Max {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};

/// The same bits in every lane: both partners of an exchange add the same two numbers.
template <typename Combine, typename T>
__device__ inline T reduce_warp(T value, Combine combine) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2)
    value = combine(value, __shfl_xor_sync(kWholeWarp, value, distance));
  return value;
}

/// `none` is what combines without effect. Every thread gets the result.
template <typename Combine, typename T>
__device__ inline T reduce_block(T value, T none, Combine combine) {
  __shared__ T parts[kWarp];
  value = reduce_warp(value, combine);
  __syncthreads();  // the parts of an earlier call have been read
  if (lane_id() == 0) parts[warp_id()] = value;
  __syncthreads();
  return reduce_warp(lane_id() < warp_count() ? parts[lane_id()] : none, combine);
}

template <typename T>
__device__ inline T block_sum(T value) {
  return reduce_block(value, T{0}, Sum{});
}

/// The sum over the lanes up to this one.
__device__ inline uint64_t sum_up_to_lane(uint64_t value) {
#pragma unroll
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const uint64_t before = __shfl_up_sync(kWholeWarp, value, distance);
    if (lane_id() >= distance) value += before;
  }
  return value;
}

/// `in_warp`: a number of the whole warp. The sum of those of earlier warps; of all, at *total.
__device__ inline uint64_t sum_before_warp(uint64_t in_warp, uint64_t* total) {
  __shared__ uint64_t parts[kWarp];
  __syncthreads();
  if (lane_id() == 0) parts[warp_id()] = in_warp;
  __syncthreads();
  const uint64_t up_to = sum_up_to_lane(lane_id() < warp_count() ? parts[lane_id()] : 0);
  *total = __shfl_sync(kWholeWarp, up_to, kWarp - 1);
  return __shfl_sync(kWholeWarp, up_to, warp_id()) - in_warp;
}

}  // namespace llmpq::cuda
