#include "kernels/cuda/round_inputs.cuh"

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/layout.hpp"
#include "kernels/cuda/rounding.cuh"

namespace llmpq::cuda {
namespace {

constexpr int kThreads = 256;

/// Two neighbours of every eight of the span that the eight `begin` belongs to: of its e-th eight,
/// inputs 8 i + 2 e and the next one, i < 4.
__device__ void load_pairs(const float* row, int64_t k, int64_t begin, bool vectors,
                           float (&value)[8]) {
  begin = begin / 32 * 32 + begin % 32 / 4;
#pragma unroll
  for (int i = 0; i < 4; ++i, begin += 8) {
    if (vectors && begin + 2 <= k) {
      const float2 two = *reinterpret_cast<const float2*>(row + begin);
      value[2 * i] = two.x, value[2 * i + 1] = two.y;
    } else {
      value[2 * i] = begin < k ? row[begin] : 0.0f;
      value[2 * i + 1] = begin + 1 < k ? row[begin + 1] : 0.0f;
    }
  }
}

struct RoundTask {
  const float* x;
  int64_t tokens, k;
  int eights;    ///< of a padded row
  bool vectors;  ///< rows begin at multiples of 16 bytes
  uint4* to;
};

enum class Order { kRows, kSwizzled };

/// One thread: eight inputs of a token, the t-th eight of a span of a group.
template <typename T, Order kOrder>
__global__ void round_kernel(const RoundTask task) {
  begin_kernel();
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t token = index / task.eights;
  const int eight = static_cast<int>(index % task.eights);
  if (token >= task.tokens) return;
  float v[8];
  const float* const row = task.x + token * task.k;
  if constexpr (kOrder == Order::kSwizzled)
    load_pairs(row, task.k, int64_t{8} * eight, task.vectors, v);
  else
    load_eight(row, task.k, int64_t{8} * eight, task.vectors, v);
  const uint4 rounded = round_eight<T>(v);
  if constexpr (kOrder == Order::kSwizzled) {
    const int64_t token_tiles = (task.tokens + 7) / 8;
    const int64_t tile = eight / 8 * token_tiles + token / 8, in_tile = token % 8;
    task.to[tile * 64 + in_tile * 8 + (eight % 8 ^ in_tile)] = rounded;
  } else {
    task.to[index] = rounded;
  }
}

template <Order kOrder>
void launch_round(StreamContext& context, const RoundTask& task, DType type) {
  const auto blocks = static_cast<unsigned>(divide_up(task.tokens * task.eights, kThreads));
  launch_kernel(
      context, "round_kernel", {blocks, kThreads},
      type == DType::kBf16 ? round_kernel<__nv_bfloat16, kOrder> : round_kernel<__half, kOrder>,
      task);
}

/// One warp: a group of a token. The operations are those of kernels/cpu/quantize.hpp.
__global__ void int8_kernel(const float* x, int64_t tokens, int64_t k, int groups, float* to) {
  begin_kernel();
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
  begin_kernel();
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t token = index / padded, input = index % padded;
  if (token < tokens) to[index] = input < k ? x[token * k + input] : 0.0f;
}

}  // namespace

InputRows rounded_inputs(StreamContext& context, const LinearArgs& args, DType type, void* to) {
  const int64_t k = args.w->k, padded = groups_of(k) * kGroup;
  if (args.rounded.type != DType::kF32) return {args.rounded.rows, k};
  const int eights = static_cast<int>(padded / 8);
  launch_round<Order::kRows>(
      context, {args.x, args.tokens, k, eights, has_vectors(args.x, k), static_cast<uint4*>(to)},
      type);
  return {to, padded};
}

void round_to_swizzled(StreamContext& context, const float* x, int64_t tokens, int64_t k,
                       DType type, void* to) {
  const int eights = static_cast<int>(groups_of(k) * kGroup / 8);
  launch_round<Order::kSwizzled>(
      context, {x, tokens, k, eights, has_vectors(x, k), static_cast<uint4*>(to)}, type);
}

void copy_to_rows(StreamContext& context, const float* x, int64_t tokens, int64_t k,
                  bool through_int8, float* to) {
  const int64_t groups = groups_of(k), padded = groups * kGroup;
  if (through_int8) {
    const auto blocks = static_cast<unsigned>(divide_up(tokens * groups, kThreads / 32));
    launch_kernel(context, "int8_kernel", {blocks, kThreads}, int8_kernel, x, tokens, k,
                  static_cast<int>(groups), to);
  } else {
    const auto blocks = static_cast<unsigned>(divide_up(tokens * padded, kThreads));
    launch_kernel(context, "copy_kernel", {blocks, kThreads}, copy_kernel, x, tokens, k, padded,
                  to);
  }
}

}  // namespace llmpq::cuda
