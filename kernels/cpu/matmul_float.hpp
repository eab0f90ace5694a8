// y = x w^T with f32 inputs. One fma chain along k for each output: a group of weights is widened
// into an f32 panel of 128 x 32 in L1, which all rows of the item share; a register tile of several
// rows and 32 outputs walks along it. Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/matmul_decode.hpp"
#include "kernels/cpu/matmul_panel.hpp"

namespace llmpq {
namespace {

/// A group of a panel as floats.
struct FloatPanel {
  alignas(64) float weights[kGroup * kPanel];
  const uint8_t* next[2];  ///< the packed groups after it: at most 4096 bytes each
};

/// acc[r][0..31] = fma chain over i of x[r][i] * panel[i][0..31], going on from acc.
template <int rows>
[[gnu::noinline]] void advance_rows(const FloatPanel& panel, int64_t size, const float* x,
                                    int64_t x_stride, float* acc) {
  F32x16 sums[rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    sums[r][0] = load(acc + r * kPanel);
    sums[r][1] = load(acc + r * kPanel + kLanes);
  }
  for (int64_t i = 0; i < size; ++i) {
    __builtin_prefetch(panel.next[0] + i * kVector / 2);
    __builtin_prefetch(panel.next[1] + i * kVector / 2);
    const F32x16 w0 = load(panel.weights + i * kPanel);
    const F32x16 w1 = load(panel.weights + i * kPanel + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const F32x16 value = broadcast(x[r * x_stride + i]);
      sums[r][0] = fma(value, w0, sums[r][0]);
      sums[r][1] = fma(value, w1, sums[r][1]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    store(acc + r * kPanel, sums[r][0]);
    store(acc + r * kPanel + kLanes, sums[r][1]);
  }
}

/// advance_rows for `count` rows, at most `rows`.
template <int rows>
LLMPQ_INLINE void advance(int64_t count, const FloatPanel& panel, int64_t size, const float* x,
                          int64_t x_stride, float* acc) {
  if constexpr (rows > 0) {
    if (count == rows) return advance_rows<rows>(panel, size, x, x_stride, acc);
    advance<rows - 1>(count, panel, size, x, x_stride, acc);
  }
}

/// Inputs 2 i and 2 i + 1 of a tile of bf16 or f16, which lie in one vector.
template <Format format, int which>
LLMPQ_INLINE F32x16 load_half(const uint8_t* pair) {
  if constexpr (format == Format::kF16) {
    return load_f16(reinterpret_cast<const uint16_t*>(pair) + which * kTile);
  } else {
    F32x16 both[2];
    load_bf16_pairs(pair, both[0], both[1]);
    return both[which];
  }
}

/// Two rows of a panel, for `rows` rows of x at input `which` of a pair.
template <Format format, int which, int rows>
LLMPQ_INLINE void add_half(const uint8_t* const (&pairs)[2], const float* x, int64_t x_stride,
                           F32x16 (&sums)[rows][2]) {
  const F32x16 first = load_half<format, which>(pairs[0]);
  const F32x16 second = load_half<format, which>(pairs[1]);
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    const F32x16 value = broadcast(x[r * x_stride + which]);
    sums[r][0] = fma(value, first, sums[r][0]);
    sums[r][1] = fma(value, second, sums[r][1]);
  }
}

/// A group of two 16-bit tiles as they are packed.
struct HalfTiles {
  const uint8_t* tiles[2];
  int64_t ahead;  ///< bytes to the weights to ask for
};

/// advance_rows with two 16-bit tiles as they are packed: for few rows, whose time is the reading
/// of the weights, a panel on the way would cost more than it saves.
template <Format format, int rows>
[[gnu::noinline]] void advance_half_rows(const HalfTiles& weights, int64_t size, const float* x,
                                         int64_t x_stride, float* acc) {
  F32x16 sums[rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    sums[r][0] = load(acc + r * kPanel);
    sums[r][1] = load(acc + r * kPanel + kLanes);
  }
  const uint8_t* pairs[2] = {weights.tiles[0], weights.tiles[1]};
  for (int64_t i = 0; i < size; i += 2, pairs[0] += kVector, pairs[1] += kVector) {
    __builtin_prefetch(pairs[0] + weights.ahead);
    __builtin_prefetch(pairs[1] + weights.ahead);
    add_half<format, 0>(pairs, x + i, x_stride, sums);
    if (i + 1 == size) break;
    add_half<format, 1>(pairs, x + i, x_stride, sums);
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    store(acc + r * kPanel, sums[r][0]);
    store(acc + r * kPanel + kLanes, sums[r][1]);
  }
}

template <Format format, int rows>
LLMPQ_INLINE void advance_halves(int64_t count, const HalfTiles& weights, int64_t size,
                                 const float* x, int64_t x_stride, float* acc) {
  if constexpr (rows > 0) {
    if (count == rows) return advance_half_rows<format, rows>(weights, size, x, x_stride, acc);
    advance_halves<format, rows - 1>(count, weights, size, x, x_stride, acc);
  }
}

/// All groups of a panel through an f32 copy of each: `advance(rows, group, size, x, x_stride,
/// acc)` takes at most kFloatRows rows through it.
template <typename Advance>
LLMPQ_INLINE void multiply_by_panels(const MatmulTask& task, int64_t panel, int64_t begin,
                                     int64_t rows, float* acc, Advance advance_by) {
  FloatPanel weights;
  const uint8_t* tile = first_tile(task, panel);
  const bool second = has_second(task, panel);
  if (!second) __builtin_memset(weights.weights, 0, sizeof(weights.weights));
  for (int64_t k = 0; k < task.k; k += kGroup, tile += task.group_bytes) {
    const int64_t size = task.k - k < kGroup ? task.k - k : kGroup;
    decode_group(task.format, tile, size, weights.weights);
    if (second) decode_group(task.format, tile + task.tile_bytes, size, weights.weights + kTile);
    weights.next[0] = tile + task.group_bytes;
    weights.next[1] = second ? weights.next[0] + task.tile_bytes : weights.next[0];
    const float* x = task.x + begin * task.x_stride + k;
    float* sums = acc;
    for (int64_t left = rows; left > 0; left -= kFloatRows, sums += kFloatRows * kPanel) {
      advance_by(left < kFloatRows ? left : kFloatRows, weights, size, x, task.x_stride, sums);
      x += kFloatRows * task.x_stride;
    }
  }
}

/// All groups of a panel of bf16 or f16 as they are packed: `advance(rows, group, size, x,
/// x_stride, acc)` takes the rows, at most kFloatRows, through one.
template <typename Advance>
LLMPQ_INLINE void multiply_halves(const MatmulTask& task, int64_t panel, int64_t begin,
                                  int64_t rows, float* acc, Advance advance_by) {
  const uint8_t* const first = first_tile(task, panel);
  // Without a second tile the first is computed twice; finish_panel drops the copy.
  HalfTiles weights = {{first, has_second(task, panel) ? first + task.tile_bytes : first}, 0};
  for (int64_t k = 0; k < task.k; k += kGroup) {
    const int64_t size = task.k - k < kGroup ? task.k - k : kGroup;
    const float* x = task.x + begin * task.x_stride + k;
    // Beyond the end of two tiles come the next two.
    const bool in_tile = task.k - k > kAheadBytes / task.group_bytes * kGroup;
    weights.ahead = kAheadBytes + (in_tile ? 0 : task.tile_bytes);
    advance_by(rows, weights, size, x, task.x_stride, acc);
    weights.tiles[0] += task.group_bytes;
    weights.tiles[1] += task.group_bytes;
  }
}

template <Format format>
LLMPQ_INLINE void multiply_few(const MatmulTask& task, int64_t panel, int64_t begin, int64_t rows,
                               float* acc) {
  multiply_halves(task, panel, begin, rows, acc,
                  [](int64_t count, const HalfTiles& weights, int64_t size, const float* x,
                     int64_t x_stride, float* sums) {
                    advance_halves<format, kFloatRows>(count, weights, size, x, x_stride, sums);
                  });
}

LLMPQ_INLINE void multiply_floats(const MatmulTask& task, int64_t panel, int64_t begin,
                                  int64_t end) {
  alignas(64) float acc[kRowChunk * kPanel];
  const int64_t rows = end - begin;
  __builtin_memset(acc, 0, static_cast<size_t>(rows * kPanel) * sizeof(float));
  if (task.format == Format::kBf16 && rows <= kFloatRows) {
    multiply_few<Format::kBf16>(task, panel, begin, rows, acc);
  } else if (task.format == Format::kF16 && rows <= kFloatRows) {
    multiply_few<Format::kF16>(task, panel, begin, rows, acc);
  } else {
    multiply_by_panels(
        task, panel, begin, rows, acc,
        [](int64_t count, const FloatPanel& weights, int64_t size, const float* x, int64_t x_stride,
           float* sums) { advance<kFloatRows>(count, weights, size, x, x_stride, sums); });
  }
  finish_panel(task, panel, begin, end, acc);
}

void matmul_float_kernel(const MatmulTask& task, const MatmulCut& cut, int64_t begin, int64_t end) {
  for_items(task, cut, begin, end, [&](int64_t panel, int64_t first, int64_t last) {
    multiply_floats(task, panel, first, last);
  });
}

}  // namespace
}  // namespace llmpq
