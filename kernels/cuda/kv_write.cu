// K and V of new tokens, rounded into the paged cache: the same bits as the CPU's
// (kernels/cpu/kv_write.hpp, kernels/convert.hpp). One warp per token, head and tensor.
#include <cuda_fp16.h>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/ranges.cuh"

namespace llmpq::cuda {
namespace {

constexpr int kWarps = 4;  ///< of a block

/// NaN keeps its payload like the CPU's, which the conversion instruction would drop.
__device__ uint16_t bf16_bits(float value) {
  const uint32_t bits = __float_as_uint(value);
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>(is_nan ? (bits >> 16) | 0x40u : rounded);
}

__device__ uint16_t f16_bits(float value) {
  const uint32_t bits = __float_as_uint(value), magnitude = bits & 0x7fffffffu;
  const uint32_t nan = 0x7e00u | ((magnitude >> 13) & 0x3ffu) | ((bits >> 16) & 0x8000u);
  return magnitude > 0x7f800000u ? static_cast<uint16_t>(nan)
                                 : __half_as_ushort(__float2half_rn(value));
}

/// absmax / 127 of a head; NaN if an element is not finite.
__device__ float int8_scale(const float* x, int head_dim, int lane) {
  uint32_t largest = 0;  // magnitudes order like integers, NaN above infinity
  for (int i = lane; i < head_dim; i += 32)
    largest = max(largest, __float_as_uint(x[i]) & 0x7fffffffu);
  for (int step = 16; step > 0; step /= 2)
    largest = max(largest, __shfl_xor_sync(kAllLanes, largest, step));
  if (largest >= 0x7f800000u) return __uint_as_float(0x7fc00000u);
  return __fdiv_rn(__uint_as_float(largest), 127.0f);
}

/// Ties to even, within +-127; 0 if the scale is 0 or NaN.
__device__ int8_t int8_of(float value, float scale) {
  if (!(scale > 0.0f)) return 0;
  float q = __fdiv_rn(value, scale);
  q = q < 127.0f ? q : 127.0f;
  q = q > -127.0f ? q : -127.0f;
  return static_cast<int8_t>(__float2int_rn(q));
}

/// A warp stores one head at slot `slot` (in tokens) of a cache tensor.
__device__ void store_head(const float* x, const KvCache& cache, void* tensor, float* scales,
                           int64_t slot, int lane) {
  const int head_dim = static_cast<int>(cache.head_dim);
  const int64_t at = slot * head_dim;
  if (cache.type == DType::kInt8) {
    const float scale = int8_scale(x, head_dim, lane);
    if (lane == 0) scales[slot] = scale;
    int8_t* to = static_cast<int8_t*>(tensor) + at;
    for (int i = lane; i < head_dim; i += 32) to[i] = int8_of(x[i], scale);
  } else if (cache.type == DType::kF32) {
    float* to = static_cast<float*>(tensor) + at;
    for (int i = lane; i < head_dim; i += 32) to[i] = x[i];
  } else {
    uint16_t* to = static_cast<uint16_t*>(tensor) + at;
    const bool is_bf16 = cache.type == DType::kBf16;
    for (int i = lane; i < head_dim; i += 32) to[i] = is_bf16 ? bf16_bits(x[i]) : f16_bits(x[i]);
  }
}

/// Grid: (token rows, warps for K and V of all heads).
__global__ void __launch_bounds__(32 * kWarps)
    kv_write_kernel(KvWriteArgs args, const KvCache cache) {
  begin_kernel();
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(blockIdx.y * kWarps + threadIdx.x / 32);
  const int kv_heads = static_cast<int>(cache.kv_heads);
  if (warp >= 2 * kv_heads) return;
  const FoundRange found =
      find_row(args.ranges.list, static_cast<int>(args.ranges.count), static_cast<int>(blockIdx.x));
  if (found.range.rows == 0) return;

  const bool of_v = warp >= kv_heads;
  const int head = of_v ? warp - kv_heads : warp;
  const int block_tokens = static_cast<int>(cache.block_tokens);
  const int position = found.range.position + found.item;
  const int64_t block = args.ranges.block_table[found.range.table + position / block_tokens];
  const int64_t slot = (block * kv_heads + head) * block_tokens + position % block_tokens;
  const float* x =
      (of_v ? args.v : args.k) + int64_t{blockIdx.x} * args.stride + int64_t{head} * cache.head_dim;
  store_head(x, cache, of_v ? cache.v : cache.k, of_v ? cache.v_scale : cache.k_scale, slot, lane);
}

}  // namespace

void kv_write(StreamContext& context, const KvWriteArgs& args) {
  if (args.ranges.count == 0 || args.ranges.rows == 0) return;
  const dim3 grid(static_cast<unsigned>(args.ranges.rows),
                  static_cast<unsigned>(divide_up(2 * args.cache->kv_heads, kWarps)));
  launch_kernel(context, "kv_write", {grid, 32 * kWarps}, kv_write_kernel, args, *args.cache);
}

}  // namespace llmpq::cuda
