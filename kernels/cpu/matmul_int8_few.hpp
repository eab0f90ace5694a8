// The integer product for few rows, whose time is the reading of the weights: they are decoded in
// registers, right where they are multiplied, and their memory is asked for line by line. The
// formula is in matmul_groups.hpp. Included after a lanes_*.hpp.
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

/// The sums of `rows` rows and 32 outputs. Each is several, if there are so few that one would wait
/// for itself: integers may be added in any order.
template <int rows>
struct FewSums {
  static constexpr int kChains = kIntChains / rows > 1 ? kIntChains / rows : 1;
  I32x16 sums[rows][2][kChains];

  LLMPQ_INLINE I32x16 total(int row, int tile) const {
    I32x16 all = sums[row][tile][0];
#pragma GCC unroll 4
    for (int c = 1; c < kChains; ++c) all = all + sums[row][tile][c];
    return all;
  }
};

/// One quad of two tiles; `x` is at the unit's inputs.
template <Format format, int rows, int quad>
LLMPQ_INLINE void add_quad(const uint8_t* const (&units)[2], const int8_t* x, FewSums<rows>& sums) {
  if constexpr (quad * kVector < unit_bytes<format>()) {
    __builtin_prefetch(units[0] + kAheadBytes + quad * kVector);
    __builtin_prefetch(units[1] + kAheadBytes + quad * kVector);
  }
  const Quads first = quad_of_unit<format, quad>(units[0]);
  const Quads second = quad_of_unit<format, quad>(units[1]);
  constexpr int kChain = quad % FewSums<rows>::kChains;
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    const int8_t* const four = x + r * kGroup + 4 * quad;
    sums.sums[r][0][kChain] = dot4(sums.sums[r][0][kChain], first, four);
    sums.sums[r][1][kChain] = dot4(sums.sums[r][1][kChain], second, four);
  }
}

/// A full group of the tiles at `tile` and `tile` + to_second.
template <Format format, int rows>
[[gnu::noinline]] void add_few_rows(const uint8_t* tile, int64_t to_second, const IntRows& in,
                                    float* acc) {
  FewSums<rows> sums;
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < FewSums<rows>::kChains; ++c)
      sums.sums[r][0][c] = sums.sums[r][1][c] = zero_int();
  const uint8_t* units[2] = {tile + kScaleBytes, tile + to_second + kScaleBytes};
  for (int64_t i = 0; i < kGroup; i += kUnitInputs) {
    add_quad<format, rows, 0>(units, in.x + i, sums);
    add_quad<format, rows, 1>(units, in.x + i, sums);
    add_quad<format, rows, 2>(units, in.x + i, sums);
    add_quad<format, rows, 3>(units, in.x + i, sums);
    add_quad<format, rows, 4>(units, in.x + i, sums);
    add_quad<format, rows, 5>(units, in.x + i, sums);
    add_quad<format, rows, 6>(units, in.x + i, sums);
    add_quad<format, rows, 7>(units, in.x + i, sums);
    units[0] += unit_bytes<format>();
    units[1] += unit_bytes<format>();
  }
  const PanelScales scales(tile, tile + to_second);
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
    add_group(sums.total(r, 0), sums.total(r, 1), in, r, scales, acc + r * kPanel);
}

using FewRowsKernel = void (*)(const uint8_t* tile, int64_t to_second, const IntRows& in,
                               float* acc);

/// add_few_rows for `count` rows, at most `rows`; nullptr if there are more.
template <Format format, int rows = kFewIntRows>
LLMPQ_INLINE FewRowsKernel few_rows_kernel(int64_t count) {
  if constexpr (rows > 0) {
    if (count == rows) return add_few_rows<format, rows>;
    return few_rows_kernel<format, rows - 1>(count);
  }
  return nullptr;
}

LLMPQ_INLINE FewRowsKernel few_rows_kernel(Format format, int64_t count) {
  if (format == Format::kW8) return few_rows_kernel<Format::kW8>(count);
  if (format == Format::kW4) return few_rows_kernel<Format::kW4>(count);
  return few_rows_kernel<Format::kW3>(count);
}

}  // namespace
}  // namespace llmpq
