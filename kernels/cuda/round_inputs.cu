#include "kernels/cuda/round_inputs.cuh"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/cuda/layout.hpp"

namespace llmpq::cuda {
namespace {

constexpr int kThreads = 256;

__device__ uint32_t round_two(float low, float high, __half) {
  const __half2 two = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&two);
}
__device__ uint32_t round_two(float low, float high, __nv_bfloat16) {
  const __nv_bfloat162 two = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&two);
}

/// Inputs [begin, begin + 8) of a row of k, zeros past its end.
__device__ void load_eight(const float* row, int64_t k, int64_t begin, bool vectors, float* value) {
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

struct RoundTask {
  const float* x;
  int64_t tokens, k;
  int eights;    ///< of a padded row
  bool vectors;  ///< rows begin at multiples of 16 bytes
  uint4* to;
  Counters counters;
};

/// One thread: eight inputs of a token, the t-th eight of a span of a group.
template <typename T, bool kFragments>
__global__ void round_kernel(const RoundTask task) {
#if __CUDA_ARCH__ >= 900
  // The product's kernel may start and load weights now; it waits for this one before it reads x.
  asm volatile("griddepcontrol.launch_dependents;");
#endif
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  for (int64_t i = index; i < task.counters.count; i += static_cast<int64_t>(gridDim.x) * kThreads)
    task.counters.data[i] = 0;
  const int64_t token = index / task.eights;
  const int eight = static_cast<int>(index % task.eights);
  if (token >= task.tokens) return;
  float v[8];
  load_eight(task.x + token * task.k, task.k, int64_t{8} * eight, task.vectors, v);
  const uint4 rounded = {round_two(v[0], v[1], T()), round_two(v[2], v[3], T()),
                         round_two(v[4], v[5], T()), round_two(v[6], v[7], T())};
  if constexpr (kFragments) {
    const int64_t tile = eight / 16 * ((task.tokens + 7) / 8) + token / 8;
    task.to[tile * 128 + eight % 16 / 4 * 32 + token % 8 * 4 + eight % 4] = rounded;
  } else {
    task.to[index] = rounded;
  }
}

bool has_vectors(const float* x, int64_t k) {
  return k % 4 == 0 && reinterpret_cast<uintptr_t>(x) % 16 == 0;
}

template <bool kFragments>
void launch_round(StreamContext& context, const RoundTask& task, DType type) {
  const auto blocks = static_cast<unsigned>(divide_up(task.tokens * task.eights, kThreads));
  if (type == DType::kBf16)
    round_kernel<__nv_bfloat16, kFragments><<<blocks, kThreads, 0, context.stream>>>(task);
  else
    round_kernel<__half, kFragments><<<blocks, kThreads, 0, context.stream>>>(task);
  CHECK_LAUNCH("round_kernel");
}

/// One warp: a group of a token. The operations are those of kernels/cpu/quantize.hpp.
__global__ void int8_kernel(const float* x, int64_t tokens, int64_t k, int groups, float* to) {
  const int64_t index = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t token = index / groups, begin = index % groups * kGroup;
  if (token >= tokens) return;
  float value[4];
  uint32_t largest = 0;  // magnitudes order like integers, NaN above infinity
  for (int i = 0; i < 4; ++i) {
    const int64_t input = begin + 32 * i + lane;
    value[i] = input < k ? x[token * k + input] : 0.0f;
    largest = max(largest, __float_as_uint(value[i]) & 0x7fffffffu);
  }
  for (int step = 16; step > 0; step /= 2)
    largest = max(largest, __shfl_xor_sync(0xffffffffu, largest, step));
  const bool finite = largest < 0x7f800000u;
  const float scale =
      finite ? __fdiv_rn(__uint_as_float(largest), 127.0f) : __uint_as_float(0x7fc00000u);
  constexpr float kShift = 12582912.0f;  // adding it rounds to an integer
  for (int i = 0; i < 4; ++i) {
    float q = 0.0f;
    if (scale > 0.0f) {
      q = fminf(fmaxf(__fdiv_rn(value[i], scale), -127.0f), 127.0f);
      q = __fsub_rn(__fadd_rn(q, kShift), kShift);
    }
    to[token * groups * kGroup + begin + 32 * i + lane] = __fmul_rn(q, scale);
  }
}

__global__ void copy_kernel(const float* x, int64_t tokens, int64_t k, int64_t padded, float* to) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t token = index / padded, input = index % padded;
  if (token < tokens) to[index] = input < k ? x[token * k + input] : 0.0f;
}

}  // namespace

void round_to_rows(StreamContext& context, const float* x, int64_t tokens, int64_t k, DType type,
                   void* to) {
  const int eights = static_cast<int>(groups_of(k) * kGroup / 8);
  launch_round<false>(context,
                      {x, tokens, k, eights, has_vectors(x, k), static_cast<uint4*>(to), {}}, type);
}

void round_to_fragments(StreamContext& context, const float* x, int64_t tokens, int64_t k,
                        DType type, uint4* to, const Counters& counters) {
  const int eights = static_cast<int>(groups_of(k) * kGroup / 8);
  launch_round<true>(context, {x, tokens, k, eights, has_vectors(x, k), to, counters}, type);
}

void copy_to_rows(StreamContext& context, const float* x, int64_t tokens, int64_t k,
                  bool through_int8, float* to) {
  const int64_t groups = groups_of(k), padded = groups * kGroup;
  if (through_int8) {
    const auto blocks = static_cast<unsigned>(divide_up(tokens * groups, kThreads / 32));
    int8_kernel<<<blocks, kThreads, 0, context.stream>>>(x, tokens, k, static_cast<int>(groups),
                                                         to);
    CHECK_LAUNCH("int8_kernel");
  } else {
    const auto blocks = static_cast<unsigned>(divide_up(tokens * padded, kThreads));
    copy_kernel<<<blocks, kThreads, 0, context.stream>>>(x, tokens, k, padded, to);
    CHECK_LAUNCH("copy_kernel");
  }
}

}  // namespace llmpq::cuda
