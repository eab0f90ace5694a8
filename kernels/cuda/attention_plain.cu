// Attention in f32 without tensor cores: any head_dim, block_tokens and cache type. For exact
// caches, soft caps, rare shapes and old GPUs. One block per row and head; keys in tiles counted
// from position 0.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/ranges.cuh"
#include "kernels/cuda/rounding.cuh"
#include "kernels/cuda/shared_memory.cuh"

namespace llmpq::cuda {
namespace {

constexpr int kThreads = 128;  ///< and keys of a tile: one thread each turns its score to a weight
constexpr int kWarps = kThreads / 32;

/// A row and head. Its key j lies at token slots[j % kThreads] of the cache.
struct Row {
  const float* q;
  int64_t first;  ///< its element of y
  int kv_head, position, table;
  float slope;
};

template <typename T>
__device__ float value_at(const void* tensor, const float* scales, int64_t slot, int head_dim,
                          int i) {
  const float value = static_cast<float>(static_cast<const T*>(tensor)[slot * head_dim + i]);
  return sizeof(T) == 1 ? value * scales[slot] : value;
}

__device__ bool find_row_and_head(const AttentionLaunch& args, Row& row) {
  const int t = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const FoundRange found = find_row(args.list, args.ranges, t);
  if (found.range.rows == 0) return false;
  row.q = args.q + int64_t{t} * args.q_stride + int64_t{head} * args.head_dim;
  row.first = (int64_t{t} * args.heads + head) * args.head_dim;
  row.kv_head = head / args.group;
  row.position = found.range.position + found.item;
  row.table = found.range.table;
  row.slope = args.slopes == nullptr ? 0.0f : args.slopes[head];
  return true;
}

/// scale * q.k, capped if asked for, + slope * distance of one key, by a warp; every lane gets it.
template <typename T>
__device__ float score_key(const AttentionLaunch& args, const Row& row, int64_t slot, int key) {
  float dot = 0.0f;
  for (int i = static_cast<int>(threadIdx.x % 32); i < args.head_dim; i += 32)
    dot = fmaf(row.q[i], value_at<T>(args.k, args.k_scale, slot, args.head_dim, i), dot);
  for (int step = 16; step > 0; step /= 2) dot += __shfl_xor_sync(kAllLanes, dot, step);
  float score = args.scale * dot;
  if (args.soft_cap > 0.0f) score = args.soft_cap * tanhf(score / args.soft_cap);
  return fmaf(row.slope, static_cast<float>(key - row.position), score);
}

/// The largest and, if `add`, the sum of a tile's numbers; every warp finds the same.
__device__ float reduce_tile(const float* numbers, bool add) {
  float result = add ? 0.0f : -INFINITY;
  for (int i = static_cast<int>(threadIdx.x % 32); i < kThreads; i += 32)
    result = add ? result + numbers[i] : fmaxf(result, numbers[i]);
  for (int step = 16; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, result, step);
    result = add ? result + other : fmaxf(result, other);
  }
  return result;
}

/// Grid: (token rows, heads).
template <typename T>
__global__ void __launch_bounds__(kThreads) plain_kernel(const AttentionLaunch args) {
  begin_kernel();
  float* const acc = reinterpret_cast<float*>(dynamic_shared());  // [head_dim]
  __shared__ float scores[kThreads];
  __shared__ int64_t slots[kThreads];
  Row row;
  if (!find_row_and_head(args, row)) return;
  const int thread = static_cast<int>(threadIdx.x);
  const int first = first_key(args, row.position);
  for (int i = thread; i < args.head_dim; i += kThreads) acc[i] = 0.0f;

  float largest = -INFINITY, sum = 0.0f;
  for (int start = first / kThreads * kThreads; start <= row.position; start += kThreads) {
    const int begin = max(first - start, 0), end = min(row.position + 1 - start, kThreads);
    if (thread >= begin && thread < end) {
      const int key = start + thread;
      const int64_t block = args.block_table[row.table + key / args.block_tokens];
      slots[thread] =
          (block * args.kv_heads + row.kv_head) * args.block_tokens + key % args.block_tokens;
    }
    scores[thread] = -INFINITY;
    __syncthreads();
    for (int j = begin + thread / 32; j < end; j += kWarps) {
      const float score = score_key<T>(args, row, slots[j], start + j);
      if (thread % 32 == 0) scores[j] = score;
    }
    __syncthreads();
    const float before = largest;
    largest = fmaxf(before, reduce_tile(scores, false));
    const float base = largest == -INFINITY ? 0.0f : largest;  // all NaN: no maximum
    const float shrink = expf(before - base);
    __syncthreads();  // all warps have seen the scores
    scores[thread] = expf(scores[thread] - base);
    __syncthreads();
    sum = fmaf(sum, shrink, reduce_tile(scores, true));
    for (int i = thread; i < args.head_dim; i += kThreads) {
      float total = acc[i] * shrink;
      for (int j = begin; j < end; ++j)
        total =
            fmaf(scores[j], value_at<T>(args.v, args.v_scale, slots[j], args.head_dim, i), total);
      acc[i] = total;
    }
    __syncthreads();  // the next tile takes the place of this one
  }
  for (int i = thread; i < args.head_dim; i += kThreads)
    store<1>(args.y, args.rounded, row.first + i, {acc[i] / sum});
}

template <typename T>
void launch(StreamContext& context, const AttentionLaunch& args, int64_t rows) {
  const dim3 grid(static_cast<unsigned>(rows), static_cast<unsigned>(args.heads));
  const size_t bytes = static_cast<size_t>(args.head_dim) * sizeof(float);
  launch_kernel(context, "plain attention", {grid, kThreads, bytes}, plain_kernel<T>, args);
}

}  // namespace

void attention_plain(StreamContext& context, const AttentionLaunch& args, DType type,
                     int64_t rows) {
  switch (type) {
    case DType::kF32:
      return launch<float>(context, args, rows);
    case DType::kBf16:
      return launch<__nv_bfloat16>(context, args, rows);
    case DType::kF16:
      return launch<__half>(context, args, rows);
    case DType::kInt8:
      return launch<int8_t>(context, args, rows);
    default:
      raise(kInternal, "attention: no kernel for a cache of %s", name(type).data());
  }
}

}  // namespace llmpq::cuda
