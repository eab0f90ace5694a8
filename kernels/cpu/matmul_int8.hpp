// y = x w^T with int8 inputs and w8, w4 or w3 weights, by dot products of four bytes in the lanes
// of vectors; the formula is in matmul_groups.hpp. Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/matmul_int8_few.hpp"

namespace llmpq {
namespace {

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
    __builtin_prefetch(panel.next[0] + q * kVector);
    __builtin_prefetch(panel.next[1] + q * kVector);
    const Quads w0 = load_quads(panel.quads[0] + q * kVector);
    const Quads w1 = load_quads(panel.quads[1] + q * kVector);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      dots[r][0] = dot4(dots[r][0], w0, in.x + r * kGroup + 4 * q);
      dots[r][1] = dot4(dots[r][1], w1, in.x + r * kGroup + 4 * q);
    }
  }
  const PanelScales scales(panel.groups[0], panel.groups[1]);
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) add_group(dots[r][0], dots[r][1], in, r, scales, acc + r * kPanel);
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

LLMPQ_INLINE void multiply_int8(const MatmulTask& task, int64_t panel, int64_t begin, int64_t end) {
  alignas(64) uint8_t room[2][kQuads * kVector];
  alignas(64) float acc[kRowChunk * kPanel];
  __builtin_memset(acc, 0, static_cast<size_t>((end - begin) * kPanel) * sizeof(float));
  PanelGroups groups(task, panel);
  int64_t g = 0;
  if (multiply_few_rows(end - begin, groups, task.x_int8, begin, acc)) {
    g = groups.full();
    groups.skip(g);
  }
  for (; groups.inputs > 0; ++g) {
    IntRows in = rows_at(task.x_int8, g, begin);
    const QuadPanel weights = groups.next(room);
    float* sums = acc;
    for (int64_t left = end - begin; left > 0; left -= kIntRows, sums += kIntRows * kPanel) {
      advance_int<kIntRows>(left < kIntRows ? left : kIntRows, weights, in, sums);
      in.advance(kIntRows);
    }
  }
  finish_panel(task, panel, begin, end, acc);
}

void matmul_int8_kernel(const MatmulTask& task, const MatmulCut& cut, int64_t begin, int64_t end) {
  for_items(task, cut, begin, end, [&](int64_t panel, int64_t first, int64_t last) {
    multiply_int8(task, panel, first, last);
  });
}

}  // namespace
}  // namespace llmpq
