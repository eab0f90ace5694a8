// A whole tile of weights at once: 16 rows rounded and put into their lanes (cpu/pack.hpp draws
// them). The fast twin of pack_row(), to the same bytes: it writes every line of the caches once
// and whole. Included after a lanes_*.hpp.
#pragma once

#include "kernels/convert.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/pack.hpp"
#include "kernels/cpu/widen.hpp"

namespace llmpq {
namespace {

/// The bits of the largest magnitude, which order like integers: 0x7f800000 or more if a value is
/// not finite.
LLMPQ_INLINE uint32_t largest_magnitude(const float* values, int64_t size) {
  int32_t largest = 0;
  for (int64_t i = 0; i < size; ++i) {
    const auto bits = static_cast<int32_t>(__builtin_bit_cast(uint32_t, values[i]) & 0x7fffffffu);
    largest = bits > largest ? bits : largest;
  }
  return static_cast<uint32_t>(largest);
}

/// What weights are divided by, and within what integers are held then.
struct Rounding {
  float scale, lowest, largest;
};

/// u[i] = round(values[i] / scale) + bias, ties to even; the bias alone beyond `size` and where the
/// scale is 0.
LLMPQ_INLINE void round_weights(const float* values, int64_t size, const Rounding& to, int bias,
                                uint8_t* u) {
  for (int64_t i = 0; i < kGroup; ++i) u[i] = static_cast<uint8_t>(bias);
  if (to.scale == 0) return;
  for (int64_t i = 0; i < size; ++i) {
    constexpr float kShift = 12582912.0f;  // rounds to an integer
    float q = values[i] / to.scale;
    q = q < to.largest ? q : to.largest;
    q = q > to.lowest ? q : to.lowest;
    u[i] = static_cast<uint8_t>(static_cast<int>((q + kShift) - kShift) + bias);
  }
}

/// What one output has in its lane of each vector of a group, four bytes each.
inline constexpr int64_t kMostWords = kGroup / 2;

/// Integers, four to a quad, become the format's words behind the scale's.
LLMPQ_INLINE void words_of_integers(Format format, const uint32_t* quads, uint32_t* words) {
  constexpr int64_t kQuads = kGroup / 4;
  if (format == Format::kW8) {
    for (int64_t q = 0; q < kQuads; ++q) words[q] = quads[q];
  } else if (format == Format::kW4) {
    for (int64_t v = 0; v < kQuads / 2; ++v) words[v] = quads[2 * v] | quads[2 * v + 1] << 4;
  } else {
    for (int64_t unit = 0; unit < kQuads / 8; ++unit) {
      uint32_t low[2] = {0, 0}, high = 0;
      for (int64_t q = 0; q < 8; ++q) {
        const uint32_t four = quads[8 * unit + q];
        low[q / 4] |= (four & 0x03030303u) << (2 * (q % 4));
        high |= (four >> 2 & 0x01010101u) << q;
      }
      words[3 * unit] = low[0];
      words[3 * unit + 1] = low[1];
      words[3 * unit + 2] = high;
    }
  }
}

/// NaNs made quiet, as widening and rounding leave them: nothing else happens to them on that way.
LLMPQ_INLINE void quiet_halves(DType type, uint16_t* halves) {
  const uint16_t infinity = type == DType::kBf16 ? 0x7f80 : 0x7c00;
  const uint16_t quiet = type == DType::kBf16 ? 0x40 : 0x200;
  for (int64_t i = 0; i < kGroup; ++i)
    halves[i] = static_cast<uint16_t>(halves[i] | ((halves[i] & 0x7fff) > infinity ? quiet : 0));
}

/// 16-bit formats have two inputs in a word.
LLMPQ_INLINE void words_of_halves(Format format, const RowsInMemory& group, int64_t size,
                                  uint32_t* words) {
  const DType type = format == Format::kBf16 ? DType::kBf16 : DType::kF16;
  uint16_t halves[kGroup] = {};
  if (group.type == type) {
    __builtin_memcpy(halves, group.numbers, static_cast<size_t>(size) * sizeof(uint16_t));
    quiet_halves(type, halves);
  } else {
    float values[kGroup];
    widen_kernel(group.type, group.numbers, size, values);
    if (type == DType::kBf16)
      f32_to_bf16(values, halves, size);
    else
      f32_to_f16(values, halves, size);
  }
  __builtin_memcpy(words, halves, sizeof(halves));
}

/// One output of one group of integers.
LLMPQ_INLINE void words_of_rounded(Format format, const float* values, int64_t size,
                                   const Rounding& to, uint32_t* words) {
  uint8_t u[kGroup];
  round_weights(values, size, to, weight_bias(format), u);
  uint32_t quads[kGroup / 4];
  __builtin_memcpy(quads, u, sizeof(u));
  words[0] = __builtin_bit_cast(uint32_t, to.scale);
  words_of_integers(format, quads, words + 1);
}

/// One output of one group; false if a value is not finite and the format cannot hold it.
LLMPQ_INLINE bool words_of_group(Format format, const RowsInMemory& group, int64_t size,
                                 uint32_t* words) {
  if (is_16bit(format)) {
    words_of_halves(format, group, size, words);
    return true;
  }
  float values[kGroup];
  widen_kernel(group.type, group.numbers, size, values);
  const uint32_t largest = largest_magnitude(values, size);
  if (largest >= 0x7f800000u) return false;
  const float max_abs = static_cast<float>(info(format).max_abs);
  const float scale = __builtin_bit_cast(float, largest) / max_abs;
  words_of_rounded(format, values, size, {scale, -max_abs, max_abs}, words);
  return true;
}

using FourWords = uint32_t __attribute__((vector_size(16)));

LLMPQ_INLINE FourWords load_four(const uint32_t* from) {
  FourWords words;
  __builtin_memcpy(&words, from, sizeof(words));
  return words;
}

/// The v-th words of 16 outputs side by side, for each v: four by four.
LLMPQ_INLINE void transpose(const uint32_t (*words)[kMostWords], int64_t vectors, uint32_t* to) {
  for (int64_t v = 0; v < vectors; v += 4) {
    for (int64_t output = 0; output < kTile; output += 4) {
      const FourWords a = load_four(words[output] + v), b = load_four(words[output + 1] + v),
                      c = load_four(words[output + 2] + v), d = load_four(words[output + 3] + v);
      const FourWords low_ab = __builtin_shufflevector(a, b, 0, 4, 1, 5),
                      high_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7),
                      low_cd = __builtin_shufflevector(c, d, 0, 4, 1, 5),
                      high_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      const FourWords columns[4] = {__builtin_shufflevector(low_ab, low_cd, 0, 1, 4, 5),
                                    __builtin_shufflevector(low_ab, low_cd, 2, 3, 6, 7),
                                    __builtin_shufflevector(high_ab, high_cd, 0, 1, 4, 5),
                                    __builtin_shufflevector(high_ab, high_cd, 2, 3, 6, 7)};
      for (int64_t i = 0; i < 4 && v + i < vectors; ++i)
        __builtin_memcpy(to + (v + i) * kTile + output, &columns[i], sizeof(columns[i]));
    }
  }
}

/// f16: two vectors of halves for each vector of words, which hold two inputs.
LLMPQ_INLINE void split_halves(const uint32_t* pairs, int64_t inputs, uint8_t* group) {
  for (int64_t i = 0; i < inputs; ++i) {
    uint16_t halves[kTile];
    for (int64_t lane = 0; lane < kTile; ++lane)
      halves[lane] = static_cast<uint16_t>(pairs[i / 2 * kTile + lane] >> (16 * (i % 2)));
    __builtin_memcpy(group + i * kVector / 2, halves, sizeof(halves));
  }
}

/// Rows lie far from each other: the CPU would notice too late that one after the other is read.
LLMPQ_INLINE void ask_for_group(const std::byte* from, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += kVector) __builtin_prefetch(from + at);
}

/// A group of `size` inputs, whose rows are `row_bytes` apart.
struct GroupShape {
  int64_t row_bytes, size;
};

/// Sixteen rows of a group; false if a value is not finite and the format cannot hold it.
LLMPQ_INLINE bool pack_group_kernel(Format format, const RowsInMemory& group,
                                    const GroupShape& shape, uint8_t* to) {
  alignas(64) uint32_t words[kTile][kMostWords];
  for (int64_t output = 0; output < kTile; ++output)
    if (!words_of_group(format, {group.type, group.numbers + output * shape.row_bytes}, shape.size,
                        words[output]))
      return false;
  if (format == Format::kF16) {
    alignas(64) uint32_t pairs[kMostWords * kTile];
    transpose(words, (shape.size + 1) / 2, pairs);
    split_halves(pairs, shape.size, to);
  } else {
    transpose(words, group_bytes(format, shape.size) / kVector, reinterpret_cast<uint32_t*>(to));
  }
  return true;
}

bool pack_tile_kernel(Format format, int64_t k, const RowsInMemory& rows, uint8_t* tile) {
  const int64_t number_bytes = size_of(rows.type), row_bytes = k * number_bytes;
  for (int64_t begin = 0; begin < k; begin += kGroup, tile += group_bytes(format)) {
    const int64_t size = k - begin < kGroup ? k - begin : kGroup;
    const std::byte* const group = rows.numbers + begin * number_bytes;
    for (int64_t output = 0; output < kTile; ++output)
      ask_for_group(group + (kTile + output) * row_bytes, size * number_bytes);
    if (!pack_group_kernel(format, {rows.type, group}, {row_bytes, size}, tile)) return false;
  }
  return true;
}

void pack_scaled_tile_kernel(Format format, int64_t k, const float* values, const float* scales,
                             uint8_t* tile) {
  alignas(64) uint32_t words[kTile][kMostWords];
  const float max_abs = static_cast<float>(info(format).max_abs);
  const int64_t groups = groups_of(k);
  for (int64_t group = 0; group < groups; ++group, tile += group_bytes(format)) {
    const int64_t begin = group * kGroup, size = k - begin < kGroup ? k - begin : kGroup;
    for (int64_t output = 0; output < kTile; ++output)
      words_of_rounded(format, values + output * k + begin, size,
                       {scales[output * groups + group], -max_abs - 1, max_abs}, words[output]);
    transpose(words, group_bytes(format, size) / kVector, reinterpret_cast<uint32_t*>(tile));
  }
}

}  // namespace
}  // namespace llmpq
