// How a lane takes packed weights (layout.hpp draws the bits) into registers, as the A operand of
// mma.m16n8k16. An integer q becomes exactly q * kUnit in bf16 or f16 without a conversion. Numbers
// whose upper bits are zeros count how often they have the smallest subnormal, beyond the mantissa
// too: by one bit more, the exponent's last. So the bits of a field alone are such a number, and
// one fma with a power of two takes away the field's zero, and makes a normal number of it.
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
  static constexpr float kLargestPower = 0x1p127f, kSmallest = 0x1p-133f;
};
template <>
struct HalfType<__half> {
  static constexpr int kMantissa = 10;
  static constexpr float kLargestPower = 0x1p15f, kSmallest = 0x1p-24f;
};

/// What a weight of 1 is in a lane's registers, a power of two: 2^-6 in bf16, 2^-9 in f16.
template <typename T>
inline constexpr float kUnit = HalfType<T>::kLargestPower* HalfType<T>::kSmallest;

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

/// Fields of `bits` bits at `bit` of both halves, which count from 2^(bits - 1), and no other bits.
template <typename T>
__device__ inline uint32_t counted_values(uint32_t fields, int bits, int bit) {
  const float factor = HalfType<T>::kLargestPower / static_cast<float>(1 << bit);
  const float zero = static_cast<float>(1 << (bits - 1)) * kUnit<T>;
  return fma_halves<T>(fields, both_halves<T>(factor), both_halves<T>(-zero));
}

/// Two two's complement fields of `bits` bits, at `bit` of both halves of `word`, as two values.
/// The xor flips the field's sign bit, so that it counts from 0; bit + bits <= mantissa bits + 1.
template <typename T>
__device__ inline uint32_t field_values(uint32_t word, int bits, int bit) {
  const uint32_t mask = ((1u << bits) - 1) << bit, sign = 1u << (bit + bits - 1);
  return counted_values<T>(and_xor(word, mask | mask << 16, sign | sign << 16), bits, bit);
}

/// The same for fields that may lie anywhere: field `index` of a row of them. As many as there is
/// room for share one shift.
template <typename T>
__device__ inline uint32_t indexed_field_values(uint32_t word, int bits, int index) {
  const int shared = (HalfType<T>::kMantissa + 1) / bits;
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

  /// A register `reg` (0..3) of mma step `step` (0, 1) of a span: its integers times kUnit<T>. All
  /// three are known when the loops around it are unrolled. `kKeep`: fewer shifts of w3, whose
  /// results wait in registers.
  template <typename T, bool kKeep = true>
  __device__ uint32_t pair(int span, int step, int reg) const {
    if constexpr (kFormat == Format::kW8)
      return byte_values<T>(word[4 * span + 2 * step + reg / 2], reg % 2);
    if constexpr (kFormat == Format::kW4)
      return indexed_field_values<T>(word[2 * span + step], 4, reg);
    if constexpr (kFormat == Format::kW3)
      return three_bit_values<T, kKeep>(8 * span + 4 * step + reg);
  }

 private:
  /// Bytes 0 and 2 of two's complement, or 1 and 3: one permutation puts them into both halves. The
  /// sign bits are flipped for all four at once.
  template <typename T>
  __device__ static uint32_t byte_values(uint32_t bytes, int odd) {
    return counted_values<T>(__byte_perm(bytes ^ 0x80808080u, 0, odd ? 0x4341 : 0x4240), 8, 0);
  }

  /// Pair `pair` of w3. The shift that brings down a word's last fields leaves it v % 3 bits
  /// higher: then the single bits of three words are neighbours, and need no shifts of their own.
  template <typename T, bool kKeep>
  __device__ uint32_t three_bit_values(int pair) const {
    constexpr int kShared = (HalfType<T>::kMantissa + 1) / 3, kLast = 4 / kShared * kShared;
    const auto last_fields = [&](int v) { return word[v] >> (3 * kLast - v % 3); };
    if (pair < 30) {
      const int v = pair / 5, index = pair % 5;
      if (!kKeep || index < kLast) return indexed_field_values<T>(word[v], 3, index);
      return field_values<T>(last_fields(v), 3, 3 * (index - kLast) + v % 3);
    }
    constexpr int kSingle = 15 - 3 * kLast;  // where the first word's single bit lies then
    constexpr uint32_t kFirst = 0x00010001u << kSingle, kFirstTwo = 0x00030003u << kSingle;
    const int v = 3 * (pair - 30);
    if constexpr (!kKeep)
      return field_values<T>((word[v] >> 15 & 0x00010001u) | (word[v + 1] >> 14 & 0x00020002u) |
                                 (word[v + 2] >> 13 & 0x00040004u),
                             3, 0);
    const uint32_t two = (last_fields(v) & kFirst) | (last_fields(v + 1) & ~kFirst);
    return field_values<T>((two & kFirstTwo) | (last_fields(v + 2) & ~kFirstTwo), 3, kSingle);
  }
};

}  // namespace llmpq::cuda
