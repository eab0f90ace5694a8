// How weight matrices lie in memory on the CPU, and the code that puts them there.
//
// A matrix [n, k] is cut into tiles of 16 outputs, and along k into groups of 128 inputs (the last
// may be shorter). Tiles follow each other, and within a tile its groups; outputs past n and inputs
// past k are padding. All vectors are 64 bytes, one 4-byte lane per output of the tile:
//
//   tile 0                                     tile 1
//   | group 0 | group 1 | ... | last group |   | group 0 | ...
//
//   bf16, a pair of inputs per vector:         widening is a shift or a mask, and AMX reads pairs
//     lane o: | w[o, k] | w[o, k+1] |          ceil(size / 2) vectors a group
//   f16, an input per 32 bytes:                one conversion instruction for 16 outputs
//     | w[0, k] | w[1, k] | ... | w[15, k] |   size half vectors a group
//
//   w8, w4, w3: unsigned integers u = q + bias (128, 8, 4), as vpdpbusd wants its left operand;
//   the group's 16 scales (f32) first, then its integers. A *quad* is one vector of 4 consecutive
//   inputs for 16 outputs, a byte each:  lane o: | u[o, k] | u[o, k+1] | u[o, k+2] | u[o, k+3] |
//
//   w8:  | scales | quad 0 | quad 1 | ...                                     ceil(size / 4) quads
//   w4:  | scales | v 0 | v 1 | ...   low nibbles of v i: quad 2i, high: quad 2i+1;  ceil(size / 8)
//   w3:  | scales | unit 0 | unit 1 | ...                            ceil(size / 32) units of 8
//   quads
//        unit: | a | b | c |  bits 2i..2i+1 of a: the low two bits of quad i (i < 4), of b: quad
//        i+4;
//                             bit i of c: the high bit of quad i (i < 8)
//
// Bytes per full group and output: bf16, f16 256; w8 132; w4 68; w3 52.
#pragma once

#include <cstdint>

#include "kernels/tensor.hpp"

namespace llmpq {

inline constexpr int64_t kTile = 16;    ///< outputs
inline constexpr int64_t kVector = 64;  ///< bytes
inline constexpr int64_t kScaleBytes = kTile * static_cast<int64_t>(sizeof(float));

// always_inline: files compiled for different instruction sets share these, and must not share a
// compiled copy (see kernels_all.hpp).

/// What is added to an integer weight to make it unsigned.
[[gnu::always_inline]] constexpr int weight_bias(Format format) {
  return format == Format::kW8 ? 128 : format == Format::kW4 ? 8 : 4;
}

/// Bytes of one group of `size` inputs (1 to 128) in a tile.
[[gnu::always_inline]] constexpr int64_t group_bytes(Format format, int64_t size = kGroup) {
  switch (format) {
    case Format::kBf16:
      return (size + 1) / 2 * kVector;
    case Format::kF16:
      return size * kVector / 2;
    case Format::kW8:
      return kScaleBytes + (size + 3) / 4 * kVector;
    case Format::kW4:
      return kScaleBytes + (size + 7) / 8 * kVector;
    case Format::kW3:
      return kScaleBytes + (size + 31) / 32 * 3 * kVector;
  }
  return 0;
}

/// Bytes of a tile: the stride from one to the next.
[[gnu::always_inline]] constexpr int64_t tile_bytes(Format format, int64_t k) {
  const int64_t rest = k % kGroup;
  return k / kGroup * group_bytes(format) + (rest > 0 ? group_bytes(format, rest) : 0);
}

/// Bytes of a matrix [n, k]. Error(kModel) if n or k is not positive or the size overflows.
int64_t packed_bytes(Format format, int64_t n, int64_t k);

/// Rounds row `row` of a matrix, `values` [k], and writes it into its lanes of `packed`. For
/// integer formats, per group: scale = absmax / max_abs, q = round(value / scale) with ties to
/// even, 0 if the scale is 0. Error(kModel) if such a row holds NaN or infinity. Rows share no
/// byte: they may be packed by different threads.
void pack_row(Format format, int64_t n, int64_t k, int64_t row, const float* values,
              std::byte* packed);

/// The same with the scales given, [groups] of finite numbers that are not negative:
/// q = round(value / scale) from -max_abs - 1 to max_abs, which the packed integers have room for.
/// Integer formats only.
void pack_scaled_row(Format format, int64_t n, int64_t k, int64_t row, const float* values,
                     const float* scales, std::byte* packed);

/// Row `row` as the kernels see it: exact for bf16 and f16, float(q) * scale else. values [k].
void unpack_row(const Matrix& w, int64_t row, float* values);

/// Rows [row_begin, row_begin + rows) as unpack_row gives them; values [rows, k].
void unpack_rows(const Matrix& w, int64_t row_begin, int64_t rows, float* values);

/// The integer weights and scales of a row: q [k], scales [groups]. Integer formats only.
void unpack_integers(const Matrix& w, int64_t row, int8_t* q, float* scales);

}  // namespace llmpq
