// Sixteen floats as one AVX-512 register, dot products by VNNI; twin of lanes_plain.hpp.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/flush_x86.hpp"

#define LLMPQ_INLINE [[gnu::always_inline]] inline

namespace llmpq {
namespace {

constexpr int kLanes = 16;
constexpr int kFloatRows = 12, kIntRows = 12;
constexpr int kFewIntRows = 8, kOneTileRows = 4, kIntChains = 4;
constexpr int kHeadStates = 4;

struct F32x16 {
  __m512 v;
};
struct I32x16 {
  __m512i v;
};
struct Mask16 {
  __mmask16 v;
};

LLMPQ_INLINE __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xffff : (1 << count) - 1);
}

LLMPQ_INLINE F32x16 broadcast(float v) { return {_mm512_set1_ps(v)}; }
LLMPQ_INLINE F32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
LLMPQ_INLINE void store(float* p, F32x16 x) { _mm512_storeu_ps(p, x.v); }
LLMPQ_INLINE F32x16 load_first(const float* p, int64_t count) {
  return {_mm512_maskz_loadu_ps(first_lanes(count), p)};
}
LLMPQ_INLINE void store_first(float* p, F32x16 x, int64_t count) {
  _mm512_mask_storeu_ps(p, first_lanes(count), x.v);
}

LLMPQ_INLINE F32x16 operator+(F32x16 x, F32x16 y) { return {_mm512_add_ps(x.v, y.v)}; }
LLMPQ_INLINE F32x16 operator-(F32x16 x, F32x16 y) { return {_mm512_sub_ps(x.v, y.v)}; }
LLMPQ_INLINE F32x16 operator*(F32x16 x, F32x16 y) { return {_mm512_mul_ps(x.v, y.v)}; }
LLMPQ_INLINE F32x16 operator/(F32x16 x, F32x16 y) { return {_mm512_div_ps(x.v, y.v)}; }
LLMPQ_INLINE F32x16 fma(F32x16 x, F32x16 y, F32x16 z) { return {_mm512_fmadd_ps(x.v, y.v, z.v)}; }
LLMPQ_INLINE F32x16 fma_flushed(F32x16 x, F32x16 y, F32x16 z) { return fma(x, y, z); }
LLMPQ_INLINE F32x16 add_flushed(F32x16 x, F32x16 y) { return x + y; }
LLMPQ_INLINE F32x16 max(F32x16 x, F32x16 y) { return {_mm512_max_ps(x.v, y.v)}; }
LLMPQ_INLINE F32x16 min(F32x16 x, F32x16 y) { return {_mm512_min_ps(x.v, y.v)}; }
LLMPQ_INLINE F32x16 abs(F32x16 x) { return {_mm512_abs_ps(x.v)}; }
LLMPQ_INLINE F32x16 copysign(F32x16 x, F32x16 y) {
  const __m512 sign = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(sign, x.v), _mm512_and_ps(sign, y.v))};
}
LLMPQ_INLINE Mask16 less(F32x16 x, F32x16 y) { return {_mm512_cmp_ps_mask(x.v, y.v, _CMP_LT_OQ)}; }
LLMPQ_INLINE F32x16 select(Mask16 m, F32x16 x, F32x16 y) {
  return {_mm512_mask_blend_ps(m.v, y.v, x.v)};
}
LLMPQ_INLINE F32x16 times_power_of_two(F32x16 x, F32x16 n) {
  const __m512i bias = _mm512_set1_epi32(127);
  const __m512i whole = _mm512_cvttps_epi32(n.v);
  const __m512i half = _mm512_srai_epi32(whole, 1);
  const __m512i rest = _mm512_sub_epi32(whole, half);
  const __m512 first = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(half, bias), 23));
  const __m512 second = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(rest, bias), 23));
  return {_mm512_mul_ps(_mm512_mul_ps(x.v, first), second)};
}
LLMPQ_INLINE __m256 upper(__m512 x) { return _mm512_extractf32x8_ps(x, 1); }
LLMPQ_INLINE float sum(F32x16 x) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x.v), upper(x.v));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
/// Pairs of rows, then pairs of those, then quarters of registers.
LLMPQ_INLINE void transpose(F32x16 (&x)[kLanes]) {
  __m512 t[kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; i += 2) {
    t[i] = _mm512_unpacklo_ps(x[i].v, x[i + 1].v);
    t[i + 1] = _mm512_unpackhi_ps(x[i].v, x[i + 1].v);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kLanes; i += 4)
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      x[i + 2 * j].v = _mm512_shuffle_ps(t[i + j], t[i + j + 2], 0x44);
      x[i + 2 * j + 1].v = _mm512_shuffle_ps(t[i + j], t[i + j + 2], 0xee);
    }
#pragma GCC unroll 2
  for (int i = 0; i < kLanes; i += 8)
#pragma GCC unroll 4
    for (int j = i; j < i + 4; ++j) {
      t[j] = _mm512_shuffle_f32x4(x[j].v, x[j + 4].v, 0x88);
      t[j + 4] = _mm512_shuffle_f32x4(x[j].v, x[j + 4].v, 0xdd);
    }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const int to = i % 4 + i / 4 * 4;
    x[to].v = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
    x[to + 8].v = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
  }
}
LLMPQ_INLINE float largest(F32x16 x) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(x.v), upper(x.v));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

LLMPQ_INLINE I32x16 zero_int() { return {_mm512_setzero_si512()}; }
LLMPQ_INLINE I32x16 load_ints(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
LLMPQ_INLINE I32x16 operator+(I32x16 x, I32x16 y) { return {_mm512_add_epi32(x.v, y.v)}; }
LLMPQ_INLINE I32x16 operator-(I32x16 x, int32_t y) {
  return {_mm512_sub_epi32(x.v, _mm512_set1_epi32(y))};
}
LLMPQ_INLINE F32x16 to_float(I32x16 x) { return {_mm512_cvtepi32_ps(x.v)}; }

struct Quads {
  __m512i v;
};
LLMPQ_INLINE Quads load_quads(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
LLMPQ_INLINE void store_quads(uint8_t* p, const Quads& q) { _mm512_storeu_si512(p, q.v); }
template <int shift, int mask>
LLMPQ_INLINE Quads bits(const Quads& q) {
  const __m512i keep = _mm512_set1_epi8(mask);
  if constexpr (shift >= 0)
    return {_mm512_and_si512(_mm512_srli_epi16(q.v, shift), keep)};
  else
    return {_mm512_and_si512(_mm512_slli_epi16(q.v, -shift), keep)};
}
LLMPQ_INLINE Quads operator|(const Quads& x, const Quads& y) { return {_mm512_or_si512(x.v, y.v)}; }
/// In assembly because g++ 12 spills the sums of _mm512_dpbusd_epi32 to the stack at every step.
LLMPQ_INLINE I32x16 dot4(I32x16 s, const Quads& w, const int8_t* x) {
  int32_t quad;
  __builtin_memcpy(&quad, x, sizeof(quad));
  asm("vpdpbusd %2, %1, %0" : "+v"(s.v) : "v"(w.v), "v"(_mm512_set1_epi32(quad)));
  return s;
}

LLMPQ_INLINE void load_bf16_pairs(const uint8_t* p, F32x16& first, F32x16& second) {
  const __m512i pairs = _mm512_loadu_si512(p);
  first = {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16))};
  second = {_mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)))};
}

LLMPQ_INLINE F32x16 load_f16(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}

}  // namespace
}  // namespace llmpq
