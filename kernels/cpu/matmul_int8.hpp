// y = x w^T with int8 inputs and w8, w4 or w3 weights. For each output, group by group in order:
//   acc = fma(float(dot), x_scale * w_scale, acc),   dot = sum_i u_i x_i - bias * sum_i x_i
// where u = q + bias are the stored unsigned weights; dot is exact (below 2^22), so that any way of
// adding it up gives the same bits. Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/matmul_float.hpp"

namespace llmpq {
namespace {

/// Two tiles of one group: quads and scales.
struct QuadPanel {
  const uint8_t* quads[2];
  const uint8_t* scales[2];  ///< 16 floats each
  int64_t count;             ///< quads along k
  int32_t bias;
};

/// Rows of inputs at one group: their integers, scales and sums, and the steps from row to row.
struct IntRows {
  const int8_t* x;
  const float* scale;
  const int32_t* sum;
  int64_t x_stride, groups;

  LLMPQ_INLINE void advance(int64_t rows) {
    x += rows * x_stride;
    scale += rows * groups;
    sum += rows * groups;
  }
};

LLMPQ_INLINE F32x16 add_group(I32x16 dot, int32_t correction, F32x16 scale, float* acc) {
  return fma(to_float(dot - correction), scale, load(acc));
}

/// One group of two tiles for `rows` rows.
template <int rows>
[[gnu::noinline]] void advance_int_rows(const QuadPanel& panel, const IntRows& in, float* acc) {
  I32x16 dots[rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    dots[r][0] = zero_int();
    dots[r][1] = zero_int();
  }
  for (int64_t q = 0; q < panel.count; ++q) {
    const Quads w0 = load_quads(panel.quads[0] + q * kVector);
    const Quads w1 = load_quads(panel.quads[1] + q * kVector);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      dots[r][0] = dot4(dots[r][0], w0, in.x + r * in.x_stride + 4 * q);
      dots[r][1] = dot4(dots[r][1], w1, in.x + r * in.x_stride + 4 * q);
    }
  }
  const F32x16 scale0 = load(reinterpret_cast<const float*>(panel.scales[0]));
  const F32x16 scale1 = load(reinterpret_cast<const float*>(panel.scales[1]));
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r, acc += kPanel) {
    const F32x16 x_scale = broadcast(in.scale[r * in.groups]);
    const int32_t correction = panel.bias * in.sum[r * in.groups];
    store(acc, add_group(dots[r][0], correction, x_scale * scale0, acc));
    store(acc + kLanes, add_group(dots[r][1], correction, x_scale * scale1, acc + kLanes));
  }
}

/// advance_int_rows for `count` rows, at most `rows`.
template <int rows>
LLMPQ_INLINE void advance_int(int64_t count, const QuadPanel& panel, const IntRows& in,
                              float* acc) {
  if constexpr (rows > 0) {
    if (count == rows) return advance_int_rows<rows>(panel, in, acc);
    advance_int<rows - 1>(count, panel, in, acc);
  }
}

void matmul_int8_kernel(const MatmulTask& task, int64_t panel, int64_t begin, int64_t end) {
  alignas(64) uint8_t room[2][kQuads * kVector];
  alignas(64) float acc[kRowChunk * kPanel];
  __builtin_memset(acc, 0, static_cast<size_t>((end - begin) * kPanel) * sizeof(float));
  const uint8_t* tile = task.packed + panel * 2 * task.tile_bytes;
  // Without a second tile the first is computed twice; finish_panel drops the copy.
  const int64_t to_second = panel * kPanel + kTile < task.n ? task.tile_bytes : 0;
  const int64_t groups = groups_of(task.k);
  for (int64_t g = 0; g < groups; ++g, tile += task.group_bytes) {
    const int64_t size = task.k - g * kGroup < kGroup ? task.k - g * kGroup : kGroup;
    prefetch_ahead(tile, task.group_bytes);
    prefetch_ahead(tile + to_second, task.group_bytes);
    const QuadPanel weights = {{group_quads(task.format, tile, size, room[0]),
                                group_quads(task.format, tile + to_second, size, room[1])},
                               {tile, tile + to_second},
                               (size + 3) / 4,
                               weight_bias(task.format)};
    IntRows in = {task.x_int8 + begin * task.x_stride + g * kGroup,
                  task.x_scale + begin * groups + g, task.x_sum + begin * groups + g, task.x_stride,
                  groups};
    float* sums = acc;
    for (int64_t left = end - begin; left > 0; left -= kIntRows, sums += kIntRows * kPanel) {
      advance_int<kIntRows>(left < kIntRows ? left : kIntRows, weights, in, sums);
      in.advance(kIntRows);
    }
  }
  finish_panel(task, panel, begin, end, acc);
}

}  // namespace
}  // namespace llmpq
