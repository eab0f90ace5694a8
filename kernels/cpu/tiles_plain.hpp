// A tile unit in plain C++: twin of tiles_amx.hpp, for the tests of a kernel that wants one, and
// what that one is held against before its bf16 products are used (tile_order.hpp).
#pragma once

#include <cstdint>

#include "kernels/convert.hpp"
#include "kernels/cpu/flushed.hpp"

namespace llmpq {
namespace {

class PlainTiles {
 public:
  // The names of the twin.
  template <int tile>
  void zero() {
    zero(tile);
  }
  template <int tile>
  void load(const void* from, int64_t stride) {
    load(tile, from, stride);
  }
  template <int tile>
  void store(void* to, int64_t stride) const {
    store(tile, to, stride);
  }
  template <int c, int a, int b>
  void dot() {
    dot(c, a, b);
  }
  template <int c, int a, int b>
  void dot_bf16() {
    dot_bf16(c, a, b);
  }

  // The same, for whoever knows tiles only at run time.
  void zero(int tile) { __builtin_memset(tiles_[tile], 0, sizeof(tiles_[tile])); }
  void load(int tile, const void* from, int64_t stride) {
    for (int64_t r = 0; r < kRows; ++r)
      __builtin_memcpy(tiles_[tile][r], static_cast<const uint8_t*>(from) + r * stride, kRowBytes);
  }
  void store(int tile, void* to, int64_t stride) const {
    for (int64_t r = 0; r < kRows; ++r)
      __builtin_memcpy(static_cast<uint8_t*>(to) + r * stride, tiles_[tile][r], kRowBytes);
  }
  void dot(int c, int a, int b) {
    for (int64_t m = 0; m < kRows; ++m) {
      int32_t sums[kRows];
      __builtin_memcpy(sums, tiles_[c][m], sizeof(sums));
      for (int64_t n = 0; n < kRows; ++n)
        for (int64_t i = 0; i < kRowBytes; ++i)
          sums[n] += int32_t{static_cast<int8_t>(tiles_[a][m][i])} *
                     int32_t{tiles_[b][i / 4][4 * n + i % 4]};
      __builtin_memcpy(tiles_[c][m], sums, sizeof(sums));
    }
  }

  void dot_bf16(int c, int a, int b) {
    for (int64_t m = 0; m < kRows; ++m) {
      float sums[kRows];
      __builtin_memcpy(sums, tiles_[c][m], sizeof(sums));
      for (int64_t n = 0; n < kRows; ++n) {
        float chains[2] = {0, 0};
        for (int64_t i = 0; i < kRows; ++i)
          for (int64_t j = 0; j < 2; ++j)
            chains[j] = fma_flushed(bf16_at(a, m, 2 * i + j), bf16_at(b, i, 2 * n + j), chains[j]);
        sums[n] = add_flushed(sums[n], add_flushed(chains[0], chains[1]));
      }
      __builtin_memcpy(tiles_[c][m], sums, sizeof(sums));
    }
  }

 private:
  float bf16_at(int tile, int64_t row, int64_t i) const {
    uint16_t bits;
    __builtin_memcpy(&bits, &tiles_[tile][row][2 * i], sizeof(bits));
    return bf16_to_f32(bits);
  }

  static constexpr int64_t kRows = 16, kRowBytes = 64;
  uint8_t tiles_[8][kRows][kRowBytes] = {};
};

}  // namespace
}  // namespace llmpq
