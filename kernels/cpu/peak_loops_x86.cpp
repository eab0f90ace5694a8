#include "kernels/cpu/peak_loops.hpp"

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/tiles_amx.hpp"

namespace llmpq {
namespace {

// Enough independent sums to hide the latency of an instruction: 4 cycles, two of them a cycle.
constexpr int kSums = 12;

// An empty asm hides a register's content: the compiler can neither leave a product by one out nor
// count the rounds itself.

uint64_t read_128(const void* from, int64_t bytes) {
  const auto* vectors = static_cast<const __m128i*>(from);
  __m128i sum[4] = {};
  for (int64_t i = 0; i < bytes / 16; i += 4)
    for (int j = 0; j < 4; ++j) sum[j] = _mm_add_epi64(sum[j], _mm_load_si128(vectors + i + j));
  const __m128i all = _mm_add_epi64(_mm_add_epi64(sum[0], sum[1]), _mm_add_epi64(sum[2], sum[3]));
  alignas(16) std::array<uint64_t, 2> parts;
  _mm_store_si128(reinterpret_cast<__m128i*>(parts.data()), all);
  return parts[0] + parts[1];
}

[[gnu::target("avx2")]] uint64_t read_256(const void* from, int64_t bytes) {
  const auto* vectors = static_cast<const __m256i*>(from);
  __m256i sum[4] = {};
  for (int64_t i = 0; i < bytes / 32; i += 4)
    for (int j = 0; j < 4; ++j)
      sum[j] = _mm256_add_epi64(sum[j], _mm256_load_si256(vectors + i + j));
  const __m256i all =
      _mm256_add_epi64(_mm256_add_epi64(sum[0], sum[1]), _mm256_add_epi64(sum[2], sum[3]));
  alignas(32) std::array<uint64_t, 4> parts;
  _mm256_store_si256(reinterpret_cast<__m256i*>(parts.data()), all);
  return parts[0] + parts[1] + parts[2] + parts[3];
}

/// Of all T in so many bytes: what keeps the compiler from leaving the sums out.
template <typename T>
std::conditional_t<std::is_integral_v<T>, int64_t, T> total(const void* sums, size_t bytes) {
  std::conditional_t<std::is_integral_v<T>, int64_t, T> all = 0;
  for (size_t at = 0; at < bytes; at += sizeof(T)) {
    T part;
    std::memcpy(&part, static_cast<const std::byte*>(sums) + at, sizeof part);
    all += part;
  }
  return all;
}

/// Baseline x86-64 has no fma: a product and a sum, which count as one multiply-add.
float fma_128(int64_t rounds) {
  __m128 one = _mm_set1_ps(1), sum[kSums] = {};
  asm volatile("" : "+x"(one));
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kSums; ++j) sum[j] = _mm_add_ps(_mm_mul_ps(sum[j], one), one);
  }
  return total<float>(sum, sizeof sum);
}

[[gnu::target("avx2,fma")]] float fma_256(int64_t rounds) {
  __m256 one = _mm256_set1_ps(1), sum[kSums];
  asm volatile("" : "+x"(one));
  for (__m256& s : sum) s = _mm256_setzero_ps();
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kSums; ++j) sum[j] = _mm256_fmadd_ps(sum[j], one, one);
  }
  return total<float>(sum, sizeof sum);
}

[[gnu::target("avx512f")]] float fma_512(int64_t rounds) {
  __m512 one = _mm512_set1_ps(1), sum[kSums];
  asm volatile("" : "+v"(one));
  for (__m512& s : sum) s = _mm512_setzero_ps();
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kSums; ++j) sum[j] = _mm512_fmadd_ps(sum[j], one, one);
  }
  return total<float>(sum, sizeof sum);
}

/// Baseline x86-64 multiplies 16-bit pairs; widening the bytes is left out.
int64_t dot_128(int64_t rounds) {
  __m128i ones = _mm_set1_epi16(1), sum[kSums] = {};
  asm volatile("" : "+x"(ones));
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kSums; ++j) {
      asm volatile("" : "+x"(ones));
      sum[j] = _mm_add_epi32(sum[j], _mm_madd_epi16(ones, ones));
    }
  }
  return total<int32_t>(sum, sizeof sum);
}

[[gnu::target("avx2")]] int64_t dot_256(int64_t rounds) {
  __m256i bytes = _mm256_set1_epi8(1), words = _mm256_set1_epi16(1), sum[kSums];
  asm volatile("" : "+x"(words));
  for (__m256i& s : sum) s = _mm256_setzero_si256();
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kSums; ++j) {
      asm volatile("" : "+x"(bytes));
      const __m256i pairs = _mm256_maddubs_epi16(bytes, bytes);
      sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(pairs, words));
    }
  }
  return total<int32_t>(sum, sizeof sum);
}

/// Twelve sums in registers, by hand: g++ 12 moves those of the intrinsic to and fro, or into
/// memory, which halves the speed.
[[gnu::target("avx512f,avx512vnni")]] int64_t dot_vnni(int64_t rounds) {
  const __m512i ones = _mm512_set1_epi8(1), zero = _mm512_setzero_si512();
  __m512i a = zero, b = zero, c = zero, d = zero, e = zero, f = zero, g = zero, h = zero, i = zero,
          j = zero, k = zero, l = zero;
  for (int64_t round = 0; round < rounds; ++round)
    asm("vpdpbusd %[x], %[x], %0\n\tvpdpbusd %[x], %[x], %1\n\t"
        "vpdpbusd %[x], %[x], %2\n\tvpdpbusd %[x], %[x], %3\n\t"
        "vpdpbusd %[x], %[x], %4\n\tvpdpbusd %[x], %[x], %5\n\t"
        "vpdpbusd %[x], %[x], %6\n\tvpdpbusd %[x], %[x], %7\n\t"
        "vpdpbusd %[x], %[x], %8\n\tvpdpbusd %[x], %[x], %9\n\t"
        "vpdpbusd %[x], %[x], %10\n\tvpdpbusd %[x], %[x], %11"
        : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f), "+v"(g), "+v"(h), "+v"(i), "+v"(j),
          "+v"(k), "+v"(l)
        : [x] "v"(ones));
  const __m512i sum[kSums] = {a, b, c, d, e, f, g, h, i, j, k, l};
  return total<int32_t>(sum, sizeof sum);
}

/// By hand as dot_vnni.
[[gnu::target("avx512f,avx512bf16")]] float dot_pairs(int64_t rounds) {
  const __m512i ones = _mm512_set1_epi16(0x3f80);
  const __m512 zero = _mm512_setzero_ps();
  __m512 a = zero, b = zero, c = zero, d = zero, e = zero, f = zero, g = zero, h = zero, i = zero,
         j = zero, k = zero, l = zero;
  for (int64_t round = 0; round < rounds; ++round)
    asm("vdpbf16ps %[x], %[x], %0\n\tvdpbf16ps %[x], %[x], %1\n\t"
        "vdpbf16ps %[x], %[x], %2\n\tvdpbf16ps %[x], %[x], %3\n\t"
        "vdpbf16ps %[x], %[x], %4\n\tvdpbf16ps %[x], %[x], %5\n\t"
        "vdpbf16ps %[x], %[x], %6\n\tvdpbf16ps %[x], %[x], %7\n\t"
        "vdpbf16ps %[x], %[x], %8\n\tvdpbf16ps %[x], %[x], %9\n\t"
        "vdpbf16ps %[x], %[x], %10\n\tvdpbf16ps %[x], %[x], %11"
        : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f), "+v"(g), "+v"(h), "+v"(i), "+v"(j),
          "+v"(k), "+v"(l)
        : [x] "v"(ones));
  const __m512 sum[kSums] = {a, b, c, d, e, f, g, h, i, j, k, l};
  return total<float>(sum, sizeof sum);
}

/// What a loop over tiles of one type multiplies.
struct Int8Ones {
  using Number = int8_t;
  using Sum = int32_t;
  static constexpr Number kOne = 1;
  template <int c, int a, int b>
  [[gnu::always_inline]] static void dot(AmxTiles& tiles) {
    tiles.dot<c, a, b>();
  }
};
struct Bf16Ones {
  using Number = uint16_t;
  using Sum = float;
  static constexpr Number kOne = 0x3f80;
  template <int c, int a, int b>
  [[gnu::always_inline]] static void dot(AmxTiles& tiles) {
    tiles.dot_bf16<c, a, b>();
  }
};

/// Four products into tiles of their own, from two tiles of each side, as a kernel would.
template <typename Ones>
auto dot_tiles(int64_t rounds) {
  alignas(64) std::array<typename Ones::Number, 1024 / sizeof(typename Ones::Number)> ones;
  ones.fill(Ones::kOne);
  AmxTiles tiles;
  tiles.zero<0>();
  tiles.zero<1>();
  tiles.zero<2>();
  tiles.zero<3>();
  tiles.load<4>(ones.data(), 64);
  tiles.load<5>(ones.data(), 64);
  tiles.load<6>(ones.data(), 64);
  tiles.load<7>(ones.data(), 64);
  for (int64_t i = 0; i < rounds; ++i) {
    Ones::template dot<0, 4, 6>(tiles);
    Ones::template dot<1, 4, 7>(tiles);
    Ones::template dot<2, 5, 6>(tiles);
    Ones::template dot<3, 5, 7>(tiles);
  }
  alignas(64) std::array<typename Ones::Sum, 1024> sums;
  tiles.store<0>(sums.data(), 64);
  tiles.store<1>(sums.data() + 256, 64);
  tiles.store<2>(sums.data() + 512, 64);
  tiles.store<3>(sums.data() + 768, 64);
  return total<typename Ones::Sum>(sums.data(), sizeof sums);
}

constexpr int64_t kTileProducts = int64_t{4} * 16 * 16;

constexpr PeakLoops kPlain{read_128, fma_128, kSums * 4, dot_128, kSums * 8, nullptr, 0};
constexpr PeakLoops kAvx2{read_256, fma_256, kSums * 8, dot_256, kSums * 32, nullptr, 0};
constexpr PeakLoops kVnni{read_256, fma_512, kSums * 16, dot_vnni, kSums * 64, nullptr, 0};
constexpr PeakLoops kAvx512Bf16{read_256,   fma_512,   kSums * 16, dot_vnni,
                                kSums * 64, dot_pairs, kSums * 32};
constexpr PeakLoops kAmx{read_256,           fma_512, kSums * 16, dot_tiles<Int8Ones>,
                         kTileProducts * 64, nullptr, 0};
constexpr PeakLoops kAmxBf16{read_256,           fma_512,
                             kSums * 16,         dot_tiles<Int8Ones>,
                             kTileProducts * 64, dot_tiles<Bf16Ones>,
                             kTileProducts * 32};

}  // namespace

const PeakLoops& peak_loops_plain() { return kPlain; }
const PeakLoops& peak_loops_avx2() { return kAvx2; }
const PeakLoops& peak_loops_vnni() { return kVnni; }
const PeakLoops& peak_loops_avx512_bf16() { return kAvx512Bf16; }
const PeakLoops& peak_loops_amx() { return kAmx; }
const PeakLoops& peak_loops_amx_bf16() { return kAmxBf16; }

}  // namespace llmpq
