// A whole tile of weights at once, sixteen numbers a register: twin of pack_tile.hpp, which packs
// what is rare here (the last inputs of rows that are no multiple of a group, other types for 16
// bits, scales next to nothing, NaNs). To the same bytes.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/pack_tile.hpp"

namespace llmpq {
namespace {

inline constexpr int64_t kHalvesOfVector = 32;

/// 32 numbers of a row: those at even and those at odd places.
struct Pairs {
  __m512 even, odd;
};

template <DType type>
LLMPQ_INLINE Pairs load_pairs(const std::byte* from) {
  if constexpr (type == DType::kF32) {
    const __m512i even =
        _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const __m512 first = _mm512_loadu_ps(from), second = _mm512_loadu_ps(from + kVector);
    return {_mm512_permutex2var_ps(first, even, second),
            _mm512_permutex2var_ps(first, odd, second)};
  } else {
    const __m512i pairs = _mm512_loadu_si512(from), odd = _mm512_srli_epi32(pairs, 16);
    if constexpr (type == DType::kF16)
      return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(pairs)),
              _mm512_cvtph_ps(_mm512_cvtepi32_epi16(odd))};
    else
      return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
              _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)))};
  }
}

LLMPQ_INLINE __m512i magnitudes_of_halves(__m512i halves) {
  return _mm512_and_si512(halves, _mm512_set1_epi16(0x7fff));
}

/// The largest of 32 numbers of 16 bits.
LLMPQ_INLINE uint32_t largest_half(__m512i halves) {
  const __m256i some =
      _mm256_max_epu16(_mm512_castsi512_si256(halves), _mm512_extracti64x4_epi64(halves, 1));
  const __m128i few =
      _mm_max_epu16(_mm256_castsi256_si128(some), _mm256_extracti128_si256(some, 1));
  const __m128i least = _mm_minpos_epu16(_mm_xor_si128(few, _mm_set1_epi16(-1)));
  return ~static_cast<uint32_t>(_mm_cvtsi128_si32(least)) & 0xffffu;
}

/// The bits of a group's largest magnitude in f32: infinity's or more if a value is not finite.
template <DType type>
LLMPQ_INLINE uint32_t largest_of_group(const std::byte* group) {
  __m512i largest = _mm512_setzero_si512();
  if constexpr (type == DType::kF32) {
    for (int64_t i = 0; i < kGroup; i += kLanes)
      largest = _mm512_max_epu32(largest, _mm512_and_si512(_mm512_loadu_si512(group + 4 * i),
                                                           _mm512_set1_epi32(0x7fffffff)));
    return _mm512_reduce_max_epu32(largest);
  } else {
    for (int64_t i = 0; i < kGroup; i += kHalvesOfVector)
      largest = _mm512_max_epu16(largest, magnitudes_of_halves(_mm512_loadu_si512(group + 2 * i)));
    const uint32_t half = largest_half(largest);
    if constexpr (type == DType::kBf16) return half << 16;
    const __m128 wide = _mm_cvtph_ps(_mm_cvtsi32_si128(static_cast<int>(half)));
    return static_cast<uint32_t>(_mm_cvtsi128_si32(_mm_castps_si128(wide)));
  }
}

/// What one row of a tile is divided by, and 1 over it.
struct Divisor {
  __m512 scale, inverse;
};

/// x / scale, as far as rounding to an integer is concerned. Numbers of 16 bits, or rather
/// quotients close to a tie between two integers, are so few that the tests go through all of
/// them; those of f32 are divided.
template <DType type>
LLMPQ_INLINE __m512 quotient(__m512 x, const Divisor& by) {
  if constexpr (type == DType::kF32) return _mm512_div_ps(x, by.scale);
  const __m512 near = _mm512_mul_ps(x, by.inverse);
  return _mm512_fmadd_ps(_mm512_fnmadd_ps(near, by.scale, x), by.inverse, near);
}

/// 32 inputs as integers, two bytes in the lower half of each lane.
template <DType type>
LLMPQ_INLINE __m512i round_pairs(const std::byte* from, const Divisor& by, __m512 shift) {
  const Pairs x = load_pairs<type>(from);
  const auto rounded = [&](__m512 value) {
    return _mm512_castps_si512(_mm512_add_ps(quotient<type>(value, by), shift));
  };
  const __m512i odd = _mm512_slli_epi32(rounded(x.odd), 8);
  constexpr int kFirstWhereSet = 0xca;  // of the mask
  return _mm512_ternarylogic_epi32(_mm512_set1_epi32(0xff), rounded(x.even), odd, kFirstWhereSet);
}

/// 64 inputs as integers, a quad in each lane: the order of lanes is quad_in_lane()'s.
template <DType type>
LLMPQ_INLINE __m512i round_quads(const std::byte* from, const Divisor& by, __m512 shift) {
  constexpr int64_t kBytes = 32 * size_of(type);
  return _mm512_packus_epi32(round_pairs<type>(from, by, shift),
                             round_pairs<type>(from + kBytes, by, shift));
}

constexpr int64_t quad_in_lane(int64_t lane) { return lane % 4 / 2 * 8 + lane / 4 * 2 + lane % 2; }

/// Sixteen rows of sixteen words become columns.
LLMPQ_INLINE void transpose_sixteen(__m512i (&w)[kTile]) {
  __m512i t[kTile];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(w[i], w[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(w[i], w[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    w[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    w[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    w[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    w[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    const __m512i a = _mm512_shuffle_i32x4(w[i], w[4 + i], 0x44),
                  b = _mm512_shuffle_i32x4(w[8 + i], w[12 + i], 0x44),
                  c = _mm512_shuffle_i32x4(w[i], w[4 + i], 0xee),
                  d = _mm512_shuffle_i32x4(w[8 + i], w[12 + i], 0xee);
    t[i] = _mm512_shuffle_i32x4(a, b, 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(a, b, 0xdd);
    t[8 + i] = _mm512_shuffle_i32x4(c, d, 0x88);
    t[12 + i] = _mm512_shuffle_i32x4(c, d, 0xdd);
  }
  for (int i = 0; i < 16; ++i) w[i] = t[i];
}

LLMPQ_INLINE void store_vector(uint8_t* to, int64_t vector, __m512i bits) {
  _mm512_storeu_si512(to + vector * kVector, bits);
}

/// The quads of one group, [two halves][16 outputs], each lane's place as round_quads() leaves it.
using QuadsOfGroup = __m512i[2][kTile];

LLMPQ_INLINE void put_quads_w8(QuadsOfGroup& quads, uint8_t* to) {
  for (int64_t half = 0; half < 2; ++half) {
    transpose_sixteen(quads[half]);
    for (int64_t lane = 0; lane < kTile; ++lane)
      store_vector(to, 16 * half + quad_in_lane(lane), quads[half][lane]);
  }
}

LLMPQ_INLINE void put_quads_w4(QuadsOfGroup& quads, uint8_t* to) {
  const auto joined = [](__m512i q) { return _mm512_or_si512(q, _mm512_srli_epi64(q, 28)); };
  __m512i words[kTile];
  for (int64_t output = 0; output < kTile; ++output)
    words[output] =
        _mm512_castps_si512(_mm512_shuffle_ps(_mm512_castsi512_ps(joined(quads[0][output])),
                                              _mm512_castsi512_ps(joined(quads[1][output])), 0x88));
  transpose_sixteen(words);
  for (int64_t lane = 0; lane < kTile; ++lane)
    store_vector(to, lane / 4 + lane % 4 * 4, words[lane]);
}

LLMPQ_INLINE __m512i or_masked(__m512i all, __m512i some, int mask) {
  constexpr int kFirstOrBothOthers = 0xf8;
  return _mm512_ternarylogic_epi32(all, some, _mm512_set1_epi8(static_cast<char>(mask)),
                                   kFirstOrBothOthers);
}

LLMPQ_INLINE void put_quads_w3(QuadsOfGroup& quads, uint8_t* to) {
  __m512i by_quad[2 * kTile];
  for (int64_t half = 0; half < 2; ++half) {
    transpose_sixteen(quads[half]);
    for (int64_t lane = 0; lane < kTile; ++lane)
      by_quad[16 * half + quad_in_lane(lane)] = quads[half][lane];
  }
  for (int64_t unit = 0; unit < 4; ++unit) {
    const __m512i* const q = by_quad + 8 * unit;
    __m512i low[2] = {}, high = {};
    for (int i = 0; i < 8; ++i) {
      low[i / 4] = or_masked(low[i / 4], _mm512_slli_epi32(q[i], 2 * (i % 4)), 3 << 2 * (i % 4));
      high = or_masked(
          high, i < 2 ? _mm512_srli_epi32(q[i], 2 - i) : _mm512_slli_epi32(q[i], i - 2), 1 << i);
    }
    store_vector(to, 3 * unit, low[0]);
    store_vector(to, 3 * unit + 1, low[1]);
    store_vector(to, 3 * unit + 2, high);
  }
}

/// Sixteen rows of a group, and what is asked for meanwhile: as many bytes further on in the file.
struct RowsOfGroup {
  const std::byte* numbers;
  int64_t row_bytes;
  const std::byte* ahead;

  const std::byte* row(int64_t output) const { return numbers + output * row_bytes; }
};

/// Asks for `bytes` of what is read next, into the second cache: a tile is too much for the first.
/// A little at a time, between other work: a CPU waits when too many lines are under way.
LLMPQ_INLINE void ask_for(const std::byte* from, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += kVector) __builtin_prefetch(from + at, 0, 2);
}

/// What became of a group.
enum class Packed : uint8_t { kYes, kNotFinite, kNotHere };

/// A whole group of 16 rows, to integers.
template <Format format, DType type>
Packed pack_integers(const RowsOfGroup& rows, uint8_t* to) {
  constexpr int64_t kRowBytes = kGroup * size_of(type);
  alignas(64) uint32_t largest[kTile];
  for (int64_t output = 0; output < kTile; ++output)
    largest[output] = largest_of_group<type>(rows.row(output));
  const __m512i bits = _mm512_load_si512(largest);
  if (_mm512_cmpge_epu32_mask(bits, _mm512_set1_epi32(0x7f800000)) != 0) return Packed::kNotFinite;
  const __m512 scale = _mm512_div_ps(_mm512_castsi512_ps(bits),
                                     _mm512_set1_ps(static_cast<float>(info(format).max_abs)));
  const __mmask16 zero = _mm512_cmp_ps_mask(scale, _mm512_setzero_ps(), _CMP_EQ_OQ);
  const __m512 one = _mm512_set1_ps(1), divisor = _mm512_mask_blend_ps(zero, scale, one);
  // Below, a remainder may be less than the least number, and integers may leave their range.
  if (_mm512_cmp_ps_mask(divisor, _mm512_set1_ps(0x1p-96f), _CMP_LT_OQ) != 0)
    return Packed::kNotHere;
  alignas(64) float divisors[kTile], inverses[kTile];
  _mm512_store_ps(divisors, divisor);
  _mm512_store_ps(inverses, _mm512_div_ps(one, divisor));
  // Adding it leaves u, rounded, in the lowest byte, and nothing in the next two.
  const __m512 shift = _mm512_set1_ps(static_cast<float>((1 << 23) + weight_bias(format)));
  QuadsOfGroup quads;
  for (int64_t output = 0; output < kTile; ++output) {
    const std::byte* const row = rows.row(output);
    ask_for(rows.ahead + output * kRowBytes, kRowBytes);
    const Divisor by{_mm512_set1_ps(divisors[output]), _mm512_set1_ps(inverses[output])};
    quads[0][output] = round_quads<type>(row, by, shift);
    quads[1][output] = round_quads<type>(row + kRowBytes / 2, by, shift);
  }
  _mm512_storeu_ps(to, scale);
  if constexpr (format == Format::kW8) put_quads_w8(quads, to + kVector);
  if constexpr (format == Format::kW4) put_quads_w4(quads, to + kVector);
  if constexpr (format == Format::kW3) put_quads_w3(quads, to + kVector);
  return Packed::kYes;
}

/// A whole group of 16 rows that stay what they are.
template <Format format>
Packed pack_halves(const RowsOfGroup& rows, uint8_t* to) {
  constexpr int16_t kInfinity = format == Format::kBf16 ? 0x7f80 : 0x7c00;
  for (int64_t block = 0; block < 4; ++block) {
    __m512i words[kTile], largest = _mm512_setzero_si512();
    for (int64_t output = 0; output < kTile; ++output) {
      words[output] = _mm512_loadu_si512(rows.row(output) + block * kVector);
      ask_for(rows.ahead + (16 * block + output) * kVector, kVector);
      largest = _mm512_max_epu16(largest, magnitudes_of_halves(words[output]));
    }
    if (_mm512_cmpgt_epu16_mask(largest, _mm512_set1_epi16(kInfinity)) != 0)
      return Packed::kNotHere;  // a NaN has to become quiet
    transpose_sixteen(words);
    for (int64_t pair = 0; pair < kTile; ++pair) {
      const int64_t at = 16 * block + pair;
      if constexpr (format == Format::kBf16) {
        store_vector(to, at, words[pair]);
      } else {  // an input in each half vector
        const __m256i even = _mm512_cvtepi32_epi16(words[pair]),
                      odd = _mm512_cvtepi32_epi16(_mm512_srli_epi32(words[pair], 16));
        store_vector(to, at, _mm512_inserti64x4(_mm512_castsi256_si512(even), odd, 1));
      }
    }
  }
  return Packed::kYes;
}

using PackGroup = Packed (*)(const RowsOfGroup& rows, uint8_t* to);

Packed pack_nothing(const RowsOfGroup&, uint8_t*) { return Packed::kNotHere; }

template <Format format>
PackGroup integers_from(DType type) {
  if (type == DType::kBf16) return pack_integers<format, DType::kBf16>;
  if (type == DType::kF16) return pack_integers<format, DType::kF16>;
  return pack_integers<format, DType::kF32>;
}

PackGroup group_packer(Format format, DType type) {
  switch (format) {
    case Format::kBf16:
      return type == DType::kBf16 ? pack_halves<Format::kBf16> : pack_nothing;
    case Format::kF16:
      return type == DType::kF16 ? pack_halves<Format::kF16> : pack_nothing;
    case Format::kW8:
      return integers_from<Format::kW8>(type);
    case Format::kW4:
      return integers_from<Format::kW4>(type);
    case Format::kW3:
      return integers_from<Format::kW3>(type);
  }
  return pack_nothing;
}

bool pack_tile_avx512(Format format, int64_t k, const RowsInMemory& rows, uint8_t* tile) {
  const PackGroup pack = group_packer(format, rows.type);
  const int64_t number_bytes = size_of(rows.type), row_bytes = k * number_bytes;
  const std::byte* const next_tile = rows.numbers + kTile * row_bytes;
  for (int64_t begin = 0; begin < k; begin += kGroup, tile += group_bytes(format)) {
    const int64_t size = k - begin < kGroup ? k - begin : kGroup;
    const std::byte* const group = rows.numbers + begin * number_bytes;
    const std::byte* const ahead = next_tile + kTile * begin * number_bytes;
    const Packed packed = size == kGroup ? pack({group, row_bytes, ahead}, tile) : Packed::kNotHere;
    if (packed == Packed::kNotFinite) return false;
    if (packed == Packed::kNotHere &&
        !pack_group_kernel(format, {rows.type, group}, {row_bytes, size}, tile))
      return false;
  }
  return true;
}

}  // namespace
}  // namespace llmpq
