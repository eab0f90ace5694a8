// Pairs of bf16 numbers in one AVX-512 register, and their products (AVX512_BF16). Twin of
// pairs_plain.hpp; comes after lanes_avx512.hpp.
#pragma once

#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

struct Avx512Pairs {
  struct Pairs {
    __m512i v;
  };

  /// Two packed vectors, inputs 0 and 1 and then 2 and 3 for 16 outputs, as pairs of the even ones
  /// and of the odd ones: the input that is added first in the upper half of a lane.
  LLMPQ_INLINE static void sort(const uint8_t* packed, Pairs& even, Pairs& odd) {
    constexpr __mmask32 kLower = 0x55555555;
    const __m512i first = _mm512_loadu_si512(packed), second = _mm512_loadu_si512(packed + 64);
    even.v = _mm512_mask_blend_epi16(kLower, _mm512_slli_epi32(first, 16), second);
    odd.v = _mm512_mask_blend_epi16(kLower, first, _mm512_srli_epi32(second, 16));
  }
  LLMPQ_INLINE static Pairs load(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
  LLMPQ_INLINE static void store(uint8_t* p, const Pairs& pairs) {
    _mm512_storeu_si512(p, pairs.v);
  }

  /// The instruction adds the product of the upper halves, then that of the lower ones, each with
  /// one rounding, denormals taken and made as zero in any mode of the processor (Intel 64 and
  /// IA-32 Architectures Software Developer's Manual, volume 2, VDPBF16PS). In assembly because g++
  /// 12 moves the sums of the intrinsic to and fro.
  LLMPQ_INLINE static F32x16 dot(F32x16 sum, const Pairs& w, const uint16_t* x) {
    int32_t pair;
    __builtin_memcpy(&pair, x, sizeof(pair));
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum.v) : "v"(w.v), "v"(_mm512_set1_epi32(pair)));
    return sum;
  }
};

}  // namespace
}  // namespace llmpq
