// How weight matrices lie in memory on a GPU: the arithmetic alone, which host and device code
// share. The planner counts with it, the packing kernel writes by it, the products read by it, and
// tests unpack by it on the host.
//
// bf16, f16: row-major [n, k rounded up to 8] halves, as cuBLAS reads them.
//
// w8, w4, w3: tiles of 16 outputs x 128 inputs (one group), outputs past n and inputs past k are
// zeros. Tiles of the same 16 outputs follow each other along k. A tile has the 16 scales (f32)
// first, then the integers in the order in which the lanes of a warp want them as the A operand of
// mma.m16n8k16 (outputs are its rows):
//
//   lane = 4 * g + t (g < 8, t < 4) holds outputs g and g + 8 of the tile.
//   The group's 128 inputs are 4 spans of 32; in span s the lane holds inputs 32 s + 8 t + 0..7 of
//   both outputs: 16 integers, for two mma steps. Input 8 t + i of a span is used in step i / 4:
//     i % 4:       0        1        2        3
//     A register:  a0 low   a0 high  a2 low   a2 high   output g       (a1, a3: output g + 8)
//   Any order of k is right as long as B follows it: B's lane loads x[token][32 s + 8 t + 0..7],
//   16 bytes of bf16 in a row.
//
// The 16 integers of a lane and span are counted w = 8 * step + 2 * register + half (half 0 low,
// 1 high). They are stored so that two integers of one register (a *pair*) lie 16 bits apart: a
// mask, perhaps a shift, and both sit in the halves of that register. Zero bits are the integer 0,
// so the padding needs no code.
//
//   w8, two's complement:  [span][lane] 4 words of 32 bits, word v = two registers of step v / 2
//      bit 31     24 23     16 15      8 7       0
//         | odd, hi | even, hi | odd, lo | even, lo |    even, odd: registers 2 (v % 2), + 1
//
//   w4, two's complement:  [half of the group: 2 spans][lane] 4 words, one for each step
//      bit 31  28 27  24 23  20 19  16 15  12 11   8 7    4 3    0
//         | a3 hi | a2 hi | a1 hi | a0 hi | a3 lo | a2 lo | a1 lo | a0 lo |
//
//   w3, two's complement:  [lane] words 0..3, then [lane] words 4 and 5; all 32 pairs of the lane,
//   pair p = 8 * span + 4 * step + register, word v holds pairs 5 v + 0..4 and one bit of another:
//      bit 31   30   28      18   16 15   14   12       2     0
//         | x hi | 4 hi | ... | 0 hi | x lo | 4 lo | ... | 0 lo |
//         x: bit v of pair 30 in words 0..2, bit v - 3 of pair 31 in words 3..5
#pragma once

#include <cstdint>

#include "kernels/formats.hpp"
#include "kernels/host_device.hpp"

namespace llmpq::cuda {

inline constexpr int kTileOutputs = 16;
inline constexpr int kSpans = 4;         ///< of 32 inputs, in a group
inline constexpr int kLaneWeights = 64;  ///< integers of one lane in a tile
inline constexpr int kScaleBytes = 64;   ///< 16 f32

/// Bytes of the integers of a tile (16 outputs x 128 inputs).
LLMPQ_HOST_DEVICE constexpr int64_t integer_bytes(Format format) {
  return kTileOutputs * kGroup * (format == Format::kW8 ? 8 : format == Format::kW4 ? 4 : 3) / 8;
}
LLMPQ_HOST_DEVICE constexpr int64_t tile_bytes(Format format) {
  return kScaleBytes + integer_bytes(format);
}
LLMPQ_HOST_DEVICE constexpr int64_t tiles_of(int64_t n) {
  return (n + kTileOutputs - 1) / kTileOutputs;
}
/// Halves from one row of a 16-bit matrix to the next.
LLMPQ_HOST_DEVICE constexpr int64_t row_halves(int64_t k) { return (k + 7) / 8 * 8; }

constexpr int64_t matrix_bytes(Format format, int64_t n, int64_t k) {
  return is_16bit(format) ? n * row_halves(k) * 2 : tiles_of(n) * groups_of(k) * tile_bytes(format);
}

/// Where an integer of a tile lies: output 0..15, input 0..127 of the group.
struct LanePlace {
  int lane;  ///< 0..31
  int span;  ///< 0..3
  int word;  ///< 0..15
};
LLMPQ_HOST_DEVICE constexpr LanePlace place_of(int output, int input) {
  const int within = input % 32, i = within % 8;
  const int reg = (i % 4) / 2 * 2 + output / 8;
  return {4 * (output % 8) + within / 8, input / 32, 8 * (i / 4) + 2 * reg + i % 2};
}

/// Bits of an integer as it is stored.
LLMPQ_HOST_DEVICE constexpr int stored_bits(Format format) {
  return format == Format::kW8 ? 8 : format == Format::kW4 ? 4 : 3;
}
LLMPQ_HOST_DEVICE constexpr uint32_t encode(Format format, int q) {
  return static_cast<uint32_t>(q) & ((1u << stored_bits(format)) - 1);
}
LLMPQ_HOST_DEVICE constexpr int decode(Format format, uint32_t stored) {
  const int value = static_cast<int>(stored), sign = 1 << (stored_bits(format) - 1);
  return (value ^ sign) - sign;
}

/// Some bits of a stored integer: bits [low, low + bits) of it lie at `bit` of the tile's 32-bit
/// word `word`, counted behind the scales.
struct IntegerPart {
  int word, bit, low, bits;
};
/// Every integer is one part, but for pairs 30 and 31 of w3: three of one bit each.
LLMPQ_HOST_DEVICE constexpr bool is_split(Format format, const LanePlace& place) {
  return format == Format::kW3 && place.span == 3 && place.word >= 12;
}
LLMPQ_HOST_DEVICE constexpr int parts_of(Format format, const LanePlace& place) {
  return is_split(format, place) ? 3 : 1;
}
LLMPQ_HOST_DEVICE constexpr IntegerPart part_of(Format format, const LanePlace& place, int part) {
  const int step = place.word / 8, reg = place.word % 8 / 2, high = 16 * (place.word % 2);
  if (format == Format::kW8)
    return {128 * place.span + 4 * place.lane + 2 * step + reg / 2, high + 8 * (reg % 2), 0, 8};
  if (format == Format::kW4)
    return {128 * (place.span / 2) + 4 * place.lane + 2 * (place.span % 2) + step, high + 4 * reg,
            0, 4};
  const int pair = 8 * place.span + 4 * step + reg;
  const bool split = pair >= 30;
  const int v = split ? 3 * (pair - 30) + part : pair / 5;
  const int word = v < 4 ? 4 * place.lane + v : 128 + 2 * place.lane + v - 4;
  if (split) return {word, high + 15, part, 1};
  return {word, high + 3 * (pair % 5), 0, 3};
}

/// One integer of a tile whose integers begin at `words`. What the packing kernel and the products
/// do in their own ways, for the host: put over whatever was there, and get.
constexpr void put_integer(Format format, uint32_t* words, int output, int input, int q) {
  const LanePlace place = place_of(output, input);
  for (int i = 0; i < parts_of(format, place); ++i) {
    const IntegerPart part = part_of(format, place, i);
    const uint32_t mask = (1u << part.bits) - 1;
    words[part.word] &= ~(mask << part.bit);
    words[part.word] |= ((encode(format, q) >> part.low) & mask) << part.bit;
  }
}
constexpr int get_integer(Format format, const uint32_t* words, int output, int input) {
  const LanePlace place = place_of(output, input);
  uint32_t stored = 0;
  for (int i = 0; i < parts_of(format, place); ++i) {
    const IntegerPart part = part_of(format, place, i);
    stored |= ((words[part.word] >> part.bit) & ((1u << part.bits) - 1)) << part.low;
  }
  return decode(format, stored);
}

}  // namespace llmpq::cuda
