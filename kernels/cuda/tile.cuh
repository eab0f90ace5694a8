// How a lane takes packed weights (layout.hpp draws the bits) into registers, as the A operand of
// mma.m16n8k16. An integer q becomes exactly q in bf16 or f16 without a conversion: its bits are
// put below the exponent of 2^m, where m is the type's number of mantissa bits, and 2^m is
// subtracted.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstddef>

#include "kernels/cuda/instructions.cuh"
#include "kernels/cuda/layout.hpp"

namespace llmpq::cuda {

/// The two 16-bit types that inputs are rounded to.
template <typename T>
struct HalfType;
template <>
struct HalfType<__nv_bfloat16> {
  static constexpr int kMantissa = 7;
};
template <>
struct HalfType<__half> {
  static constexpr int kMantissa = 10;
};

/// The bits of a value that T has exactly, as a normal number; both halves alike.
template <typename T>
LLMPQ_HOST_DEVICE constexpr uint32_t both_halves(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  const uint32_t half = HalfType<T>::kMantissa == 7
                            ? bits >> 16
                            : sign | (magnitude - (112u << 23)) >> 13;  // exponent bias 127 to 15
  return half | half << 16;
}

/// Two two's complement fields of `bits` bits, at `bit` of both halves of `word`, as two values.
/// The xor flips the field's sign bit, so that it counts from 0; bit + bits <= mantissa bits.
template <typename T>
__device__ inline uint32_t field_values(uint32_t word, int bits, int bit) {
  constexpr float kOne = 1 << HalfType<T>::kMantissa;
  const uint32_t mask = ((1u << bits) - 1) << bit, sign = 1u << (bit + bits - 1);
  const uint32_t counted =
      and_xor(word, mask | mask << 16, both_halves<T>(kOne) | sign | sign << 16);
  const float factor = 1.0f / static_cast<float>(1 << bit);
  const float zero = kOne * factor + static_cast<float>(1 << (bits - 1));
  return fma_halves<T>(counted, both_halves<T>(factor), both_halves<T>(-zero));
}

/// The same for fields that may lie anywhere: field `index` of a row of them. As many as the
/// mantissa has room for share one shift.
template <typename T>
__device__ inline uint32_t indexed_field_values(uint32_t word, int bits, int index) {
  const int shared = HalfType<T>::kMantissa / bits;
  return field_values<T>(word >> (index / shared * shared * bits), bits, index % shared * bits);
}

/// What one lane holds of a tile: outputs g and g + 8 (lane = 4 g + t), 32 inputs each.
template <Format kFormat>
struct LaneTile {
  static constexpr int kWords = kLaneWeights * stored_bits(kFormat) / 32;
  static constexpr int kBytes = static_cast<int>(tile_bytes(kFormat));
  uint32_t word[kWords];

  /// The scale of output g (high 0) or g + 8 (high 1).
  __device__ static float scale(const std::byte* tile, int lane, int high) {
    return reinterpret_cast<const float*>(tile)[lane / 4 + 8 * high];
  }

  __device__ void load(const std::byte* tile, int lane) {
    tile += kScaleBytes;
#pragma unroll
    for (int i = 0; i < kWords / 4; ++i) {
      const uint4 four = reinterpret_cast<const uint4*>(tile)[32 * i + lane];
      word[4 * i] = four.x, word[4 * i + 1] = four.y;
      word[4 * i + 2] = four.z, word[4 * i + 3] = four.w;
    }
    if constexpr (kWords % 4 == 2) {
      const uint2 two = reinterpret_cast<const uint2*>(tile + kWords / 4 * 512)[lane];
      word[kWords - 2] = two.x, word[kWords - 1] = two.y;
    }
  }

  /// A register `reg` (0..3) of mma step `step` (0, 1) of a span, its weights without their scale.
  /// All three are known when the loops around it are unrolled.
  template <typename T>
  __device__ uint32_t pair(int span, int step, int reg) const {
    if constexpr (kFormat == Format::kW8) return magnitude_and_sign<T>(2 * span + step, reg);
    if constexpr (kFormat == Format::kW4)
      return indexed_field_values<T>(word[2 * span + step], 4, reg);
    if constexpr (kFormat == Format::kW3) {
      const int index = 8 * span + 4 * step + reg;
      if (index < 30) return indexed_field_values<T>(word[index / 5], 3, index % 5);
      const uint32_t* bit = word + 3 * (index - 30);
      const uint32_t fields = (bit[0] >> 15 & 0x00010001u) | (bit[1] >> 14 & 0x00020002u) |
                              (bit[2] >> 13 & 0x00040004u);
      return field_values<T>(fields, 3, 0);
    }
  }

 private:
  template <typename T>
  __device__ uint32_t magnitude_and_sign(int step, int reg) const {
    constexpr float kOne = 1 << HalfType<T>::kMantissa;
    const uint32_t both = word[2 * step + reg / 2];
    const uint32_t counted =
        and_xor(reg % 2 == 0 ? both : both >> 8, 0x007f007fu, both_halves<T>(kOne));
    return and_xor(reg % 2 == 0 ? both << 8 : both, 0x80008000u,
                   fma_halves<T>(counted, both_halves<T>(1.0f), both_halves<T>(-kOne)));
  }
};

}  // namespace llmpq::cuda
