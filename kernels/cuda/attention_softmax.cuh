// The rows of a warp's tile on their way through attention: q as an operand, scores with their
// masks, the online softmax (Milakov and Gimelshein 2018; tiles as in FlashAttention-2). Scores are
// in units of log2. A lane holds two rows of the tile, g and g + 8.
#pragma once

#include "kernels/cuda/attention_mma.cuh"
#include "kernels/cuda/ranges.cuh"

namespace llmpq::cuda {

inline constexpr float kLog2E = 1.4426950408889634f;
inline constexpr uint32_t kNoSlot = 0xffffffffu;  ///< of a key that is not to be read

/// Where a key lies in the cache for one kv head, in tokens. `table`: where its block table starts.
__device__ inline uint32_t cache_slot(const AttentionLaunch& args, int table, int kv_head,
                                      int key) {
  const uint32_t id = static_cast<uint32_t>(args.block_table[table + (key >> args.block_shift)]);
  return (id * args.kv_heads + kv_head) * args.block_tokens + (key & (args.block_tokens - 1));
}

/// How a row weighs keys, and which it sees: [first, last].
struct RowView {
  float factor;  ///< of its dot products
  float slope;   ///< alibi's, in log2
  int position, first, last;
};

/// The softmax so far: acc / sum, relative to exp2(largest). A sum is this lane's keys only until
/// add_lanes().
struct RowSoftmax {
  float largest[2] = {-INFINITY, -INFINITY};
  float sum[2] = {0.0f, 0.0f};

  __device__ void add_lanes() {
    for (float& total : sum) {
      total += __shfl_xor_sync(kAllLanes, total, 1);
      total += __shfl_xor_sync(kAllLanes, total, 2);
    }
  }
};

/// The power of two that brings a row's largest magnitude into [2^14, 2^15), and its inverse. 1 for
/// a row of zeros, and for one that is not finite, which so stays.
struct PowerOfTwo {
  float up, down;
};
__device__ inline PowerOfTwo power_for(uint32_t largest_bits) {
  if (largest_bits == 0 || largest_bits >= 0x7f800000u) return {1.0f, 1.0f};
  const uint32_t exponent = max(15u, largest_bits >> 23);  // so that both powers are normal
  return {__uint_as_float((268 - exponent) << 23), __uint_as_float((exponent - 14) << 23)};
}

/// Largest magnitude of a row of q, as bits; the four lanes of the row share the work.
template <int kDim>
__device__ inline uint32_t largest_magnitude(const float* row) {
  uint32_t largest = 0;
  if (row != nullptr) {
#pragma unroll 8
    for (int i = static_cast<int>(threadIdx.x % 4); i < kDim; i += 4)
      largest = max(largest, __float_as_uint(row[i]) & 0x7fffffffu);
  }
  largest = max(largest, __shfl_xor_sync(kAllLanes, largest, 1));
  return max(largest, __shfl_xor_sync(kAllLanes, largest, 2));
}

template <typename Type>
__device__ inline uint32_t query_pair(const float* row, int i, float up) {
  return row == nullptr ? 0u : Type::pair(row[i] * up, row[i + 1] * up);
}

/// Two rows of q (nullptr: zeros) as A operands; `down` takes their powers of two away again.
/// kQuads: the operand's k follows bytes (multiply_integer_keys): lane t holds elements 4 t .. 4 t
/// + 3 of each 16, instead of 2 t, 2 t + 1, 2 t + 8, 2 t + 9.
template <typename Type, int kDim, bool kQuads>
__device__ inline void load_queries(const float* const (&rows)[2], uint4 (&q)[kDim / 16],
                                    float (&down)[2]) {
  float up[2] = {1.0f, 1.0f};
  down[0] = down[1] = 1.0f;
  if constexpr (Type::kRowScaled) {
    for (int i = 0; i < 2; ++i) {
      const PowerOfTwo power = power_for(largest_magnitude<kDim>(rows[i]));
      up[i] = power.up;
      down[i] = power.down;
    }
  }
  const int t = static_cast<int>(threadIdx.x % 4);
  const int first = kQuads ? 4 * t : 2 * t, second = first + (kQuads ? 2 : 8);
#pragma unroll
  for (int step = 0; step < kDim / 16; ++step) {
    q[step] = {query_pair<Type>(rows[0], 16 * step + first, up[0]),
               query_pair<Type>(rows[1], 16 * step + first, up[1]),
               query_pair<Type>(rows[0], 16 * step + second, up[0]),
               query_pair<Type>(rows[1], 16 * step + second, up[1])};
  }
}

/// Dot products to scores: rounded by themselves, never into an fma with what comes after, since a
/// row's bits must not depend on which other rows make the tile a masked one. `key` is the position
/// of the tile's first key; k_scale [keys] is nullptr unless int8; `masked`: some row does not see
/// all of the tile.
template <int kTiles>
__device__ inline void weigh_scores(float (&s)[kTiles][4], const RowView (&rows)[2], int key,
                                    const float* k_scale, bool alibi, bool masked) {
  const int t = static_cast<int>(threadIdx.x % 4);
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      float factor = rows[e / 2].factor;
      if (k_scale != nullptr) factor *= k_scale[8 * n + 2 * t + e % 2];
      s[n][e] = __fmul_rn(s[n][e], factor);
    }
  }
  if (alibi) {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int distance = key + 8 * n + 2 * t + e % 2 - rows[e / 2].position;
        s[n][e] = fmaf(rows[e / 2].slope, static_cast<float>(distance), s[n][e]);
      }
    }
  }
  if (masked) {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int position = key + 8 * n + 2 * t + e % 2;
        const bool seen = position >= rows[e / 2].first && position <= rows[e / 2].last;
        s[n][e] = seen ? s[n][e] : -INFINITY;
      }
    }
  }
}

/// What `largest` is subtracted as: a row that has seen nothing yet must not give NaN.
__device__ inline float finite_base(float largest) { return largest == -INFINITY ? 0.0f : largest; }

/// Scores to weights 2^kShift * exp2(score - largest); acc and sum follow a new largest score.
template <typename Type, int kTiles, int kAcc>
__device__ inline void soften(float (&s)[kTiles][4], RowSoftmax& rows, float (&acc)[kAcc][4]) {
  float shrink[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    float most = rows.largest[i];
#pragma unroll
    for (int n = 0; n < kTiles; ++n) most = fmaxf(most, fmaxf(s[n][2 * i], s[n][2 * i + 1]));
    most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 1));
    most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 2));
    const float base = finite_base(most);
    shrink[i] = exp2_fast(rows.largest[i] - base);
    rows.largest[i] = most;
    float total = 0.0f;
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
#pragma unroll
      for (int e = 2 * i; e < 2 * i + 2; ++e) {
        s[n][e] -= base;
        if constexpr (Type::kShift != 0) s[n][e] += Type::kShift;
        s[n][e] = exp2_fast(s[n][e]);
        total += s[n][e];
      }
    }
    rows.sum[i] = fmaf(rows.sum[i], shrink[i], total);
  }
#pragma unroll
  for (int n = 0; n < kAcc; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) acc[n][e] *= shrink[e / 2];
  }
}

}  // namespace llmpq::cuda
