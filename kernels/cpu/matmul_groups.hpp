// The integer product, seen from one group: what its kernels (matmul_int8.hpp, matmul_int8_few.hpp,
// matmul_amx.hpp) share. For each output, group by group in order:
//   acc = fma(float(dot), x_scale * w_scale, acc),   dot = sum_i u_i x_i - bias * sum_i x_i
// where u = q + bias are the stored unsigned weights (the shift of a row is bias * sum_i x_i); dot
// is exact (below 2^22), so that any way of adding it up gives the same bits. Included after a
// lanes_*.hpp.
#pragma once

#include "kernels/cpu/matmul_decode.hpp"
#include "kernels/cpu/matmul_panel.hpp"

namespace llmpq {
namespace {

/// Two tiles of one group.
struct QuadPanel {
  const uint8_t* quads[2];
  const uint8_t* groups[2];  ///< as they are packed: their scales come first
  const uint8_t* next[2];    ///< the packed groups after them
  int64_t count;             ///< quads along k
};

/// Rows of inputs at one group: their integers (kGroup apart), scales and shifts.
struct IntRows {
  const int8_t* x;
  const float* scale;
  const int32_t* shift;

  LLMPQ_INLINE void advance(int64_t rows) {
    x += rows * kGroup;
    scale += rows;
    shift += rows;
  }
};

/// The rows from `row` on at a group.
LLMPQ_INLINE IntRows rows_at(const Int8Rows& rows, int64_t group, int64_t row) {
  const int64_t at = group * rows.rows + row;
  return {rows.values + at * kGroup, rows.scale + at, rows.shift + at};
}

/// The weights of a panel, group by group.
struct PanelGroups {
  Format format;
  const uint8_t* tile;  ///< the first output's, at the next group
  int64_t to_second;    ///< bytes to the second tile
  int64_t group_bytes;
  int64_t inputs;  ///< that are left

  LLMPQ_INLINE PanelGroups(const MatmulTask& task, int64_t panel)
      : format(task.format),
        tile(first_tile(task, panel)),
        // Without a second tile the first is computed twice; finish_panel drops the copy.
        to_second(has_second(task, panel) ? task.tile_bytes : 0),
        group_bytes(task.group_bytes),
        inputs(task.k) {}

  LLMPQ_INLINE int64_t full() const { return inputs / kGroup; }

  LLMPQ_INLINE void skip(int64_t groups) {
    tile += groups * group_bytes;
    inputs -= inputs < groups * kGroup ? inputs : groups * kGroup;
  }

  /// Decodes the next group, if that is needed into `room`.
  LLMPQ_INLINE QuadPanel next(uint8_t (&room)[2][kQuads * kVector]) {
    const int64_t size = inputs < kGroup ? inputs : kGroup;
    const QuadPanel panel = {{group_quads(format, tile, size, room[0]),
                              group_quads(format, tile + to_second, size, room[1])},
                             {tile, tile + to_second},
                             {tile + group_bytes, tile + group_bytes + to_second},
                             (size + 3) / 4};
    skip(1);
    return panel;
  }
};

/// The scales of a panel's weights at one group.
struct PanelScales {
  F32x16 first, second;

  /// Where the two tiles' groups begin.
  LLMPQ_INLINE PanelScales(const uint8_t* first_group, const uint8_t* second_group)
      : first(load(reinterpret_cast<const float*>(first_group))),
        second(load(reinterpret_cast<const float*>(second_group))) {}
};

/// Adds a group to 16 outputs of row `row`: `sums` are their sum_i u_i x_i.
LLMPQ_INLINE F32x16 add_scaled(I32x16 sums, const IntRows& in, int64_t row, F32x16 scales,
                               F32x16 acc) {
  return fma(to_float(sums - in.shift[row]), broadcast(in.scale[row]) * scales, acc);
}

/// Adds a group to the 32 outputs of row `row`.
LLMPQ_INLINE void add_group(I32x16 first, I32x16 second, const IntRows& in, int64_t row,
                            const PanelScales& scales, float* acc) {
  store(acc, add_scaled(first, in, row, scales.first, load(acc)));
  acc += kLanes;
  store(acc, add_scaled(second, in, row, scales.second, load(acc)));
}

}  // namespace
}  // namespace llmpq
