// Weights in registers, dequantized for products that add up over groups: q * scale in f32, rounded
// to the type that is multiplied, bit for bit what dequantize.cu writes to memory. Unlike
// LaneTile's pair() (tile.cuh) it goes through f32 at once: the bits of an integer are put below
// the exponent of 2^23, with few instructions of those that Hopper has at half speed (logic,
// shifts).
#pragma once

#include "kernels/cuda/rounding.cuh"
#include "kernels/cuda/tile.cuh"

namespace llmpq::cuda {

inline constexpr float kNumberBase = 8388608.0f;      ///< 2^23: its last mantissa bit is 1
inline constexpr uint32_t kNumberBits = 0x4b000000u;  ///< the bits of that

/// kNumberBase + (word & mask).
__device__ inline float masked_number(uint32_t word, uint32_t mask) {
  return __uint_as_float(and_or(word, mask, kNumberBits));
}

/// The scales of a group for a lane's outputs g and g + 8. Fields that are not shifted down to bit
/// 0 are too large by 2^bit: at[output][i] is the scale of the i-th field of a half word.
template <Format kFormat>
struct LaneScales {
  static constexpr int kFields = kFormat == Format::kW8 ? 1 : 16 / stored_bits(kFormat);
  float at[2][kFields];

  __device__ void load(const std::byte* tile, int lane) {
#pragma unroll
    for (int high = 0; high < 2; ++high)
#pragma unroll
      for (int i = 0; i < kFields; ++i)
        at[high][i] = LaneTile<kFormat>::scale(tile, lane, high) /
                      static_cast<float>(1 << stored_bits(kFormat) * i);
  }
};

/// Two's complement fields `index` of both halves of a word whose fields' sign bits were flipped,
/// so that they count from 0.
template <typename T, Format kFormat>
__device__ inline uint32_t scaled_fields(uint32_t flipped, int index,
                                         const float (&scale)[LaneScales<kFormat>::kFields]) {
  const int bits = stored_bits(kFormat), bit = bits * index;
  const uint32_t mask = ((1u << bits) - 1) << bit;
  const float zero = kNumberBase + static_cast<float>(1 << (bit + bits - 1));
  return round_two((masked_number(flipped, mask) - zero) * scale[index],
                   (masked_number(flipped >> 16, mask) - zero) * scale[index], T());
}

/// Two's complement, w8: bytes 0 and 2 of a word whose bytes' sign bits were flipped, or 1 and 3.
template <typename T>
__device__ inline uint32_t scaled_bytes(uint32_t flipped, int odd, float scale) {
  constexpr float kZero = kNumberBase + 128.0f;
  const float low = __uint_as_float(__byte_perm(flipped, kNumberBits, 0x7440 + odd));
  const float high = __uint_as_float(__byte_perm(flipped, kNumberBits, 0x7442 + odd));
  return round_two((low - kZero) * scale, (high - kZero) * scale, T());
}

/// Register `reg` of step `step` of a span: a pair of weights, as LaneTile's pair() counts them.
template <typename T, Format kFormat>
__device__ inline uint32_t scaled_pair(const LaneTile<kFormat>& tile, int span, int step, int reg,
                                       const LaneScales<kFormat>& scales) {
  const auto& scale = scales.at[reg % 2];
  if constexpr (kFormat == Format::kW8)
    return scaled_bytes<T>(tile.word[4 * span + 2 * step + reg / 2] ^ 0x80808080u, reg % 2,
                           scale[0]);
  if constexpr (kFormat == Format::kW4)
    return scaled_fields<T, kFormat>(tile.word[2 * span + step] ^ 0x88888888u, reg, scale);
  if constexpr (kFormat == Format::kW3) {
    const int index = 8 * span + 4 * step + reg;
    if (index < 30)
      return scaled_fields<T, kFormat>(tile.word[index / 5] ^ 0x49244924u, index % 5, scale);
    const uint32_t* bit = tile.word + 3 * (index - 30);
    const uint32_t field =
        (bit[0] >> 15 & 0x00010001u) | (bit[1] >> 14 & 0x00020002u) | (bit[2] >> 13 & 0x00040004u);
    return scaled_fields<T, kFormat>(field ^ 0x00040004u, 0, scale);
  }
}

/// The A operands of a span's two steps, four registers each.
template <typename T, Format kFormat>
__device__ inline void dequantize_span(const LaneTile<kFormat>& tile, int span,
                                       const LaneScales<kFormat>& scales, uint32_t (&a)[8]) {
#pragma unroll
  for (int i = 0; i < 8; ++i) a[i] = scaled_pair<T>(tile, span, i / 4, i % 4, scales);
}

}  // namespace llmpq::cuda
