// The integer product for few rows, whose time is the reading of the weights: they are decoded in
// registers, right where they are multiplied, and their memory is asked for line by line. Memory is
// fastest where it is read as it lies: so with very few rows a tile after the other is multiplied,
// and with some more two side by side, which need fewer loads of x. The formula is in
// matmul_groups.hpp. Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/matmul_groups.hpp"

namespace llmpq {
namespace {

/// A unit is 8 quads, 32 inputs: what three vectors of w3 hold.
constexpr int64_t kUnitInputs = 32;
constexpr int64_t kUnits = kGroup / kUnitInputs;

template <Format format>
constexpr int64_t unit_bytes() {
  return (group_bytes(format) - kScaleBytes) / kUnits;
}

/// Quad 0 to 7 of a unit. Loads that two quads share are left to the compiler.
template <Format format, int quad>
LLMPQ_INLINE Quads quad_of_unit(const uint8_t* unit) {
  if constexpr (format == Format::kW8) {
    return load_quads(unit + quad * kVector);
  } else if constexpr (format == Format::kW4) {
    return bits<quad % 2 * 4, 15>(load_quads(unit + quad / 2 * kVector));
  } else {
    return bits<2 * (quad % 4), 3>(load_quads(unit + quad / 4 * kVector)) |
           bits<quad - 2, 4>(load_quads(unit + 2 * kVector));
  }
}

/// The sums of `rows` rows and `tiles` x 16 outputs. Each is several, if there are so few that one
/// would wait for itself: integers may be added in any order.
template <int rows, int tiles>
struct FewSums {
  static constexpr int kMost = kIntChains / (rows * tiles);
  static constexpr int kChains = kMost > 1 ? kMost : 1;
  I32x16 sums[rows][tiles][kChains];

  LLMPQ_INLINE void clear() {
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
      for (int t = 0; t < tiles; ++t)
#pragma GCC unroll 8
        for (int c = 0; c < kChains; ++c) sums[r][t][c] = zero_int();
  }

  LLMPQ_INLINE I32x16 total(int row, int tile) const {
    I32x16 all = sums[row][tile][0];
#pragma GCC unroll 8
    for (int c = 1; c < kChains; ++c) all = all + sums[row][tile][c];
    return all;
  }
};

/// Tiles at one group: where each begins, and how many bytes ahead of it memory is asked for.
template <int tiles>
struct FewGroup {
  const uint8_t* tile[tiles];
  int64_t ahead;
};

/// Groups ahead, measured: where more instructions go to a line, more lines must be under way.
template <Format format, int tiles>
constexpr int64_t ahead_groups() {
  const int64_t bytes = format == Format::kW8 && tiles == 1 ? 4096 : 8192;
  return (bytes / tiles + group_bytes(format) / 2) / group_bytes(format);
}

/// One quad of each tile; `unit` is at the first tile's, `x` at the unit's inputs.
template <Format format, int rows, int tiles, int quad>
LLMPQ_INLINE void add_quad(const FewGroup<tiles>& at, int64_t unit, const int8_t* x,
                           FewSums<rows, tiles>& sums) {
  Quads weights[tiles];
#pragma GCC unroll 2
  for (int t = 0; t < tiles; ++t) {
    const uint8_t* const from = at.tile[t] + unit;
    if constexpr (quad * kVector < unit_bytes<format>())
      __builtin_prefetch(from + at.ahead + quad * kVector);
    weights[t] = quad_of_unit<format, quad>(from);
  }
  constexpr int kChain = quad % FewSums<rows, tiles>::kChains;
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    const int8_t* const four = x + r * kGroup + 4 * quad;
#pragma GCC unroll 2
    for (int t = 0; t < tiles; ++t)
      sums.sums[r][t][kChain] = dot4(sums.sums[r][t][kChain], weights[t], four);
  }
}

/// A full group: `acc` of each row and tile goes on.
template <Format format, int rows, int tiles>
LLMPQ_INLINE void add_few_group(const FewGroup<tiles>& at, const IntRows& in,
                                F32x16 (&acc)[rows][tiles]) {
  FewSums<rows, tiles> sums;
  sums.clear();
#pragma GCC unroll 2
  for (int t = 0; t < tiles; ++t) __builtin_prefetch(at.tile[t] + at.ahead);
  int64_t unit = kScaleBytes;
  for (int64_t i = 0; i < kGroup; i += kUnitInputs, unit += unit_bytes<format>()) {
    add_quad<format, rows, tiles, 0>(at, unit, in.x + i, sums);
    add_quad<format, rows, tiles, 1>(at, unit, in.x + i, sums);
    add_quad<format, rows, tiles, 2>(at, unit, in.x + i, sums);
    add_quad<format, rows, tiles, 3>(at, unit, in.x + i, sums);
    add_quad<format, rows, tiles, 4>(at, unit, in.x + i, sums);
    add_quad<format, rows, tiles, 5>(at, unit, in.x + i, sums);
    add_quad<format, rows, tiles, 6>(at, unit, in.x + i, sums);
    add_quad<format, rows, tiles, 7>(at, unit, in.x + i, sums);
  }
#pragma GCC unroll 2
  for (int t = 0; t < tiles; ++t) {
    const F32x16 scales = load(reinterpret_cast<const float*>(at.tile[t]));
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
      acc[r][t] = add_scaled(sums.total(r, t), in, r, scales, acc[r][t]);
  }
}

/// The full groups of a tile, `groups` of them, or of that and the next tile `to_second` bytes
/// later, for the rows from `row` on. acc is kPanel floats a row.
template <Format format, int rows, int tiles>
[[gnu::noinline]] void add_few_rows(const uint8_t* tile, int64_t to_second, int64_t groups,
                                    const Int8Rows& x, int64_t row, float* acc) {
  constexpr int64_t kBytes = group_bytes(format), kAhead = ahead_groups<format, tiles>();
  F32x16 totals[rows][tiles];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
    for (int t = 0; t < tiles; ++t) totals[r][t] = broadcast(0.0f);
  FewGroup<tiles> at;
  for (int64_t g = 0; g < groups; ++g) {
#pragma GCC unroll 2
    for (int t = 0; t < tiles; ++t) at.tile[t] = tile + t * to_second + g * kBytes;
    // Beyond the end of two tiles come the next two.
    at.ahead = kAhead * kBytes + (tiles == 2 && g + kAhead >= groups ? to_second : 0);
    add_few_group<format, rows, tiles>(at, rows_at(x, g, row), totals);
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
    for (int t = 0; t < tiles; ++t) store(acc + r * kPanel + t * kLanes, totals[r][t]);
}

/// The full groups of a panel for `rows` rows; acc is that of a second tile too, if there is one.
template <Format format, int rows>
LLMPQ_INLINE void multiply_few(const PanelGroups& panel, const Int8Rows& x, int64_t row,
                               float* acc) {
  const int64_t groups = panel.full();
  if (rows > kOneTileRows && panel.to_second > 0)
    return add_few_rows<format, rows, 2>(panel.tile, panel.to_second, groups, x, row, acc);
  add_few_rows<format, rows, 1>(panel.tile, 0, groups, x, row, acc);
  if (panel.to_second > 0)
    add_few_rows<format, rows, 1>(panel.tile + panel.to_second, 0, groups, x, row, acc + kLanes);
}

/// multiply_few for `count` rows, at most `rows`; false if there are more.
template <Format format, int rows = kFewIntRows>
LLMPQ_INLINE bool multiply_few_rows(int64_t count, const PanelGroups& panel, const Int8Rows& x,
                                    int64_t row, float* acc) {
  if constexpr (rows > 0) {
    if (count < rows) return multiply_few_rows<format, rows - 1>(count, panel, x, row, acc);
    if (count == rows) multiply_few<format, rows>(panel, x, row, acc);
    return count == rows;
  }
  return false;
}

LLMPQ_INLINE bool multiply_few_rows(int64_t count, const PanelGroups& panel, const Int8Rows& x,
                                    int64_t row, float* acc) {
  if (panel.format == Format::kW8) return multiply_few_rows<Format::kW8>(count, panel, x, row, acc);
  if (panel.format == Format::kW4) return multiply_few_rows<Format::kW4>(count, panel, x, row, acc);
  return multiply_few_rows<Format::kW3>(count, panel, x, row, acc);
}

}  // namespace
}  // namespace llmpq
