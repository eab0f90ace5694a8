// Sixteen floats as two AVX2 registers; see lanes_plain.hpp, whose twin this is.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/flush_x86.hpp"

#define LLMPQ_INLINE [[gnu::always_inline]] inline

namespace llmpq {
namespace {

constexpr int kLanes = 16;
constexpr int kFloatRows = 3, kIntRows = 2;
constexpr int kFewIntRows = 2, kOneTileRows = 2, kIntChains = 1;
constexpr int kHeadStates = 1;

struct F32x16 {
  __m256 a, b;
};
struct I32x16 {
  __m256i a, b;
};
struct Mask16 {
  __m256 a, b;
};

LLMPQ_INLINE F32x16 broadcast(float v) { return {_mm256_set1_ps(v), _mm256_set1_ps(v)}; }
LLMPQ_INLINE F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
LLMPQ_INLINE void store(float* p, F32x16 x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
LLMPQ_INLINE F32x16 load_first(const float* p, int64_t count) {
  alignas(32) float copy[kLanes] = {};
  for (int i = 0; i < kLanes && i < count; ++i) copy[i] = p[i];
  return load(copy);
}
LLMPQ_INLINE void store_first(float* p, F32x16 x, int64_t count) {
  alignas(32) float copy[kLanes];
  store(copy, x);
  for (int i = 0; i < kLanes && i < count; ++i) p[i] = copy[i];
}

LLMPQ_INLINE F32x16 operator+(F32x16 x, F32x16 y) {
  return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)};
}
LLMPQ_INLINE F32x16 operator-(F32x16 x, F32x16 y) {
  return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)};
}
LLMPQ_INLINE F32x16 operator*(F32x16 x, F32x16 y) {
  return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)};
}
LLMPQ_INLINE F32x16 operator/(F32x16 x, F32x16 y) {
  return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)};
}
LLMPQ_INLINE F32x16 fma(F32x16 x, F32x16 y, F32x16 z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
LLMPQ_INLINE F32x16 fma_flushed(F32x16 x, F32x16 y, F32x16 z) { return fma(x, y, z); }
LLMPQ_INLINE F32x16 add_flushed(F32x16 x, F32x16 y) { return x + y; }
LLMPQ_INLINE F32x16 max(F32x16 x, F32x16 y) {
  return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)};
}
LLMPQ_INLINE F32x16 min(F32x16 x, F32x16 y) {
  return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)};
}
LLMPQ_INLINE F32x16 abs(F32x16 x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
LLMPQ_INLINE F32x16 copysign(F32x16 x, F32x16 y) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(sign, x.a), _mm256_and_ps(sign, y.a)),
          _mm256_or_ps(_mm256_andnot_ps(sign, x.b), _mm256_and_ps(sign, y.b))};
}
LLMPQ_INLINE Mask16 less(F32x16 x, F32x16 y) {
  return {_mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ)};
}
LLMPQ_INLINE F32x16 select(Mask16 m, F32x16 x, F32x16 y) {
  return {_mm256_blendv_ps(y.a, x.a, m.a), _mm256_blendv_ps(y.b, x.b, m.b)};
}
LLMPQ_INLINE __m256 times_power_of_two(__m256 x, __m256 n) {
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256i whole = _mm256_cvttps_epi32(n);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  const __m256i rest = _mm256_sub_epi32(whole, half);
  x = _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
  return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23)));
}
LLMPQ_INLINE F32x16 times_power_of_two(F32x16 x, F32x16 n) {
  return {times_power_of_two(x.a, n.a), times_power_of_two(x.b, n.b)};
}
LLMPQ_INLINE float sum(F32x16 x) {
  const __m256 eight = _mm256_add_ps(x.a, x.b);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
LLMPQ_INLINE void transpose_8(__m256 (&x)[8]) {
  __m256 t[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      x[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0x44);
      x[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0xee);
    }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm256_permute2f128_ps(x[i], x[i + 4], 0x20);
    t[i + 4] = _mm256_permute2f128_ps(x[i], x[i + 4], 0x31);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) x[i] = t[i];
}
/// By quarters, of which those off the diagonal change places.
LLMPQ_INLINE void transpose(F32x16 (&x)[kLanes]) {
  __m256 quarters[4][8];
  for (int i = 0; i < 8; ++i) {
    quarters[0][i] = x[i].a;
    quarters[1][i] = x[i + 8].a;
    quarters[2][i] = x[i].b;
    quarters[3][i] = x[i + 8].b;
  }
  for (auto& quarter : quarters) transpose_8(quarter);
  for (int i = 0; i < 8; ++i) {
    x[i] = {quarters[0][i], quarters[1][i]};
    x[i + 8] = {quarters[2][i], quarters[3][i]};
  }
}
LLMPQ_INLINE float largest(F32x16 x) {
  const __m256 eight = _mm256_max_ps(x.a, x.b);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

LLMPQ_INLINE I32x16 zero_int() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
LLMPQ_INLINE I32x16 load_ints(const int32_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8))};
}
LLMPQ_INLINE I32x16 operator+(I32x16 x, I32x16 y) {
  return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
}
LLMPQ_INLINE I32x16 operator-(I32x16 x, int32_t y) {
  return {_mm256_sub_epi32(x.a, _mm256_set1_epi32(y)), _mm256_sub_epi32(x.b, _mm256_set1_epi32(y))};
}
LLMPQ_INLINE F32x16 to_float(I32x16 x) {
  return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)};
}

struct Quads {
  __m256i a, b;
};
LLMPQ_INLINE Quads load_quads(const uint8_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))};
}
LLMPQ_INLINE void store_quads(uint8_t* p, const Quads& q) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), q.a);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), q.b);
}
template <int shift, int mask>
LLMPQ_INLINE Quads bits(const Quads& q) {
  const __m256i keep = _mm256_set1_epi8(mask);
  if constexpr (shift >= 0)
    return {_mm256_and_si256(_mm256_srli_epi16(q.a, shift), keep),
            _mm256_and_si256(_mm256_srli_epi16(q.b, shift), keep)};
  else
    return {_mm256_and_si256(_mm256_slli_epi16(q.a, -shift), keep),
            _mm256_and_si256(_mm256_slli_epi16(q.b, -shift), keep)};
}
LLMPQ_INLINE Quads operator|(const Quads& x, const Quads& y) {
  return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)};
}
/// 8 lanes. Bytes 0 and 2 of each quad, then 1 and 3, as 16-bit numbers: a product of pairs cannot
/// overflow then, which vpmaddubsw's 16-bit sum of two could.
LLMPQ_INLINE __m256i dot4(__m256i sum, __m256i w, __m256i x_even, __m256i x_odd) {
  const __m256i w_even = _mm256_and_si256(w, _mm256_set1_epi16(0xff));
  const __m256i w_odd = _mm256_srli_epi16(w, 8);
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(w_even, x_even));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(w_odd, x_odd));
}
LLMPQ_INLINE I32x16 dot4(I32x16 s, const Quads& w, const int8_t* x) {
  int32_t quad;
  __builtin_memcpy(&quad, x, sizeof(quad));
  const __m256i all = _mm256_set1_epi32(quad);
  const __m256i x_even = _mm256_srai_epi16(_mm256_slli_epi16(all, 8), 8);
  const __m256i x_odd = _mm256_srai_epi16(all, 8);
  return {dot4(s.a, w.a, x_even, x_odd), dot4(s.b, w.b, x_even, x_odd)};
}

LLMPQ_INLINE void load_bf16_pairs(const uint8_t* p, F32x16& first, F32x16& second) {
  const Quads q = load_quads(p);
  const __m256i upper = _mm256_set1_epi32(-65536);
  first = {_mm256_castsi256_ps(_mm256_slli_epi32(q.a, 16)),
           _mm256_castsi256_ps(_mm256_slli_epi32(q.b, 16))};
  second = {_mm256_castsi256_ps(_mm256_and_si256(q.a, upper)),
            _mm256_castsi256_ps(_mm256_and_si256(q.b, upper))};
}

LLMPQ_INLINE F32x16 load_f16(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}

}  // namespace
}  // namespace llmpq
