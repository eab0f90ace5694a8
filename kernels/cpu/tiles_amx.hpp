// The tile unit of a CPU (AMX): eight registers of 16 rows of 64 bytes, and products of whole
// tiles. Twin of tiles_plain.hpp. The instructions are written by hand because g++ 12's intrinsics
// do not tell the compiler which memory they read and write: it moves or drops stores around them.
#pragma once

#include <cstdint>

namespace llmpq {
namespace {

/// What ldtilecfg reads: every tile 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

/// The unit while this object lives: configured for the calling thread, then given back, so that
/// the system has no tiles to save when it switches threads. Both together cost some 200 cycles.
class AmxTiles {
 public:
  [[gnu::always_inline]] AmxTiles() {
    const TileConfig config;
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  [[gnu::always_inline]] ~AmxTiles() { asm volatile("tilerelease"); }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

  template <int tile>
  [[gnu::always_inline]] void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(tile));
  }
  /// Row r from from + r * stride, in bytes.
  template <int tile>
  [[gnu::always_inline]] void load(const void* from, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(tile) : "memory");
  }
  template <int tile>
  [[gnu::always_inline]] void store(void* to, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(tile) : "memory");
  }
  /// c[m][n] (int32) += sum over i in [0, 64) of a[m][i] (int8) * b[i / 4][4 n + i % 4] (uint8).
  template <int c, int a, int b>
  [[gnu::always_inline]] void dot() {
    asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a), "i"(b));
  }
  /// c[m][n] (f32) goes on by the block of 16 pairs a[m][2 i], a[m][2 i + 1] (bf16) and
  /// b[i][2 n], b[i][2 n + 1] (bf16), in the order of matmul_bf16.hpp.
  template <int c, int a, int b>
  [[gnu::always_inline]] void dot_bf16() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a), "i"(b));
  }
};

}  // namespace
}  // namespace llmpq
