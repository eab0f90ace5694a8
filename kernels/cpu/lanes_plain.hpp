// Sixteen floats at a time in plain C++, for any CPU. The twins lanes_avx2.hpp and
// lanes_avx512.hpp have the same names; each kernels_*.cpp includes one of the three before the
// kernels, so that every operation is written once. All three give the same bits: fma is one
// rounding everywhere, and sums over lanes follow one tree.
#pragma once

#include <cstdint>

#include "kernels/convert.hpp"
#include "kernels/cpu/flushed.hpp"

#define LLMPQ_INLINE [[gnu::always_inline]] inline

namespace llmpq {
namespace {

constexpr int kLanes = 16;
/// Register tile of the float product (rows x 2 tiles of 16) and of the integer one.
constexpr int kFloatRows = 4, kIntRows = 4;
/// Rows that an integer product takes at once without decoding weights into memory, and the sums
/// of an output that hide the latency of dot4().
constexpr int kFewIntRows = 1, kOneTileRows = 1, kIntChains = 1;
/// Rows and heads whose attention is computed at once: their keys and values are loaded once.
constexpr int kHeadStates = 1;

struct F32x16 {
  float v[kLanes];
};
struct I32x16 {
  int32_t v[kLanes];
};
struct Mask16 {
  bool v[kLanes];
};

LLMPQ_INLINE F32x16 broadcast(float a) {
  F32x16 r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = a;
  return r;
}
LLMPQ_INLINE F32x16 load(const float* p) {
  F32x16 r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = p[i];
  return r;
}
LLMPQ_INLINE void store(float* p, F32x16 a) {
  for (int i = 0; i < kLanes; ++i) p[i] = a.v[i];
}
/// The first `count` (1 to 16) lanes; the others are 0, and their memory is not touched.
LLMPQ_INLINE F32x16 load_first(const float* p, int64_t count) {
  F32x16 r = broadcast(0);
  for (int i = 0; i < kLanes && i < count; ++i) r.v[i] = p[i];
  return r;
}
LLMPQ_INLINE void store_first(float* p, F32x16 a, int64_t count) {
  for (int i = 0; i < kLanes && i < count; ++i) p[i] = a.v[i];
}

LLMPQ_INLINE F32x16 operator+(F32x16 a, F32x16 b) {
  for (int i = 0; i < kLanes; ++i) a.v[i] += b.v[i];
  return a;
}
LLMPQ_INLINE F32x16 operator-(F32x16 a, F32x16 b) {
  for (int i = 0; i < kLanes; ++i) a.v[i] -= b.v[i];
  return a;
}
LLMPQ_INLINE F32x16 operator*(F32x16 a, F32x16 b) {
  for (int i = 0; i < kLanes; ++i) a.v[i] *= b.v[i];
  return a;
}
LLMPQ_INLINE F32x16 operator/(F32x16 a, F32x16 b) {
  for (int i = 0; i < kLanes; ++i) a.v[i] /= b.v[i];
  return a;
}
/// a * b + c with one rounding.
LLMPQ_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  for (int i = 0; i < kLanes; ++i) c.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return c;
}
/// While it lives, fma_flushed and add_flushed may be used: other lanes set the processor's mode
/// for them, for as long as no other function's arithmetic needs another.
struct FlushDenormals {
  FlushDenormals() {}
};
/// a * b + c and a + b without denormals (flushed.hpp); a and b of a product are bf16 numbers.
LLMPQ_INLINE F32x16 fma_flushed(F32x16 a, F32x16 b, F32x16 c) {
  for (int i = 0; i < kLanes; ++i) c.v[i] = fma_flushed(a.v[i], b.v[i], c.v[i]);
  return c;
}
LLMPQ_INLINE F32x16 add_flushed(F32x16 a, F32x16 b) {
  for (int i = 0; i < kLanes; ++i) a.v[i] = add_flushed(a.v[i], b.v[i]);
  return a;
}
/// The second operand if one of the two is NaN, as the instructions have it.
LLMPQ_INLINE F32x16 max(F32x16 a, F32x16 b) {
  for (int i = 0; i < kLanes; ++i) b.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return b;
}
LLMPQ_INLINE F32x16 min(F32x16 a, F32x16 b) {
  for (int i = 0; i < kLanes; ++i) b.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
  return b;
}
LLMPQ_INLINE F32x16 abs(F32x16 a) {
  for (int i = 0; i < kLanes; ++i) a.v[i] = __builtin_fabsf(a.v[i]);
  return a;
}
/// |a| with the sign of b.
LLMPQ_INLINE F32x16 copysign(F32x16 a, F32x16 b) {
  for (int i = 0; i < kLanes; ++i) a.v[i] = __builtin_copysignf(a.v[i], b.v[i]);
  return a;
}
LLMPQ_INLINE Mask16 less(F32x16 a, F32x16 b) {
  Mask16 m;
  for (int i = 0; i < kLanes; ++i) m.v[i] = a.v[i] < b.v[i];
  return m;
}
LLMPQ_INLINE F32x16 select(Mask16 m, F32x16 a, F32x16 b) {
  for (int i = 0; i < kLanes; ++i) b.v[i] = m.v[i] ? a.v[i] : b.v[i];
  return b;
}
/// a * 2^n for integral n in [-252, 254], as two products, so that it underflows gradually. A NaN
/// in n comes with one in a.
LLMPQ_INLINE F32x16 times_power_of_two(F32x16 a, F32x16 n) {
  for (int i = 0; i < kLanes; ++i) {
    const int32_t whole = n.v[i] == n.v[i] ? static_cast<int32_t>(n.v[i]) : 0;
    const int32_t half = whole >> 1;
    a.v[i] *= __builtin_bit_cast(float, static_cast<uint32_t>(half + 127) << 23);
    a.v[i] *= __builtin_bit_cast(float, static_cast<uint32_t>(whole - half + 127) << 23);
  }
  return a;
}
/// The tree: lanes 8 apart, then 4, 2, 1.
LLMPQ_INLINE float sum(F32x16 a) {
  for (int step = kLanes / 2; step > 0; step /= 2)
    for (int i = 0; i < step; ++i) a.v[i] += a.v[i + step];
  return a.v[0];
}
/// Lane j of x[i] and lane i of x[j] change places.
LLMPQ_INLINE void transpose(F32x16 (&x)[kLanes]) {
  for (int i = 0; i < kLanes; ++i)
    for (int j = 0; j < i; ++j) {
      const float below = x[i].v[j];
      x[i].v[j] = x[j].v[i];
      x[j].v[i] = below;
    }
}
LLMPQ_INLINE float largest(F32x16 a) {
  for (int step = kLanes / 2; step > 0; step /= 2)
    for (int i = 0; i < step; ++i) a.v[i] = a.v[i] > a.v[i + step] ? a.v[i] : a.v[i + step];
  return a.v[0];
}

LLMPQ_INLINE I32x16 zero_int() { return I32x16{}; }
LLMPQ_INLINE I32x16 load_ints(const int32_t* p) {
  I32x16 r;
  __builtin_memcpy(r.v, p, sizeof(r.v));
  return r;
}
LLMPQ_INLINE I32x16 operator+(I32x16 a, I32x16 b) {
  for (int i = 0; i < kLanes; ++i) a.v[i] += b.v[i];
  return a;
}
LLMPQ_INLINE I32x16 operator-(I32x16 a, int32_t b) {
  for (int i = 0; i < kLanes; ++i) a.v[i] -= b;
  return a;
}
LLMPQ_INLINE F32x16 to_float(I32x16 a) {
  F32x16 r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = static_cast<float>(a.v[i]);
  return r;
}

/// 16 lanes of 4 consecutive weights, unsigned (value + bias).
struct Quads {
  uint8_t v[4 * kLanes];
};
LLMPQ_INLINE Quads load_quads(const uint8_t* p) {
  Quads q;
  __builtin_memcpy(q.v, p, sizeof(q.v));
  return q;
}
LLMPQ_INLINE void store_quads(uint8_t* p, const Quads& q) { __builtin_memcpy(p, q.v, sizeof(q.v)); }
/// Each byte shifted to the right (to the left if negative), then masked; no bit that the mask
/// keeps may come from a neighbour byte.
template <int shift, int mask>
LLMPQ_INLINE Quads bits(Quads q) {
  for (uint8_t& byte : q.v)
    byte = static_cast<uint8_t>((shift >= 0 ? byte >> (shift & 7) : byte << (-shift & 7)) & mask);
  return q;
}
LLMPQ_INLINE Quads operator|(Quads a, const Quads& b) {
  for (int i = 0; i < 4 * kLanes; ++i) a.v[i] = static_cast<uint8_t>(a.v[i] | b.v[i]);
  return a;
}
/// Lane i: a + w[4i] x[0] + w[4i+1] x[1] + w[4i+2] x[2] + w[4i+3] x[3], exact.
LLMPQ_INLINE I32x16 dot4(I32x16 a, const Quads& w, const int8_t* x) {
  for (int i = 0; i < kLanes; ++i)
    for (int j = 0; j < 4; ++j) a.v[i] += int32_t{w.v[4 * i + j]} * int32_t{x[j]};
  return a;
}

/// Sixteen pairs of bf16 values: the first of each pair, and the second.
LLMPQ_INLINE void load_bf16_pairs(const uint8_t* p, F32x16& first, F32x16& second) {
  uint16_t pairs[2 * kLanes];
  __builtin_memcpy(pairs, p, sizeof(pairs));
  for (int i = 0; i < kLanes; ++i) first.v[i] = bf16_to_f32(pairs[2 * i]);
  for (int i = 0; i < kLanes; ++i) second.v[i] = bf16_to_f32(pairs[2 * i + 1]);
}

/// Sixteen f16 values.
LLMPQ_INLINE F32x16 load_f16(const uint16_t* p) {
  F32x16 r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = f16_to_f32(p[i]);
  return r;
}

}  // namespace
}  // namespace llmpq
