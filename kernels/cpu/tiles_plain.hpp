// A tile unit in plain C++ for the tests of a kernel that wants one: twin of tiles_amx.hpp.
#pragma once

#include <cstdint>
#include <cstring>

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

  // The same, for whoever knows tiles only at run time.
  void zero(int tile) { std::memset(tiles_[tile], 0, sizeof(tiles_[tile])); }
  void load(int tile, const void* from, int64_t stride) {
    for (int64_t r = 0; r < kRows; ++r)
      std::memcpy(tiles_[tile][r], static_cast<const uint8_t*>(from) + r * stride, kRowBytes);
  }
  void store(int tile, void* to, int64_t stride) const {
    for (int64_t r = 0; r < kRows; ++r)
      std::memcpy(static_cast<uint8_t*>(to) + r * stride, tiles_[tile][r], kRowBytes);
  }
  void dot(int c, int a, int b) {
    for (int64_t m = 0; m < kRows; ++m) {
      int32_t sums[kRows];
      std::memcpy(sums, tiles_[c][m], sizeof(sums));
      for (int64_t n = 0; n < kRows; ++n)
        for (int64_t i = 0; i < kRowBytes; ++i)
          sums[n] += int32_t{static_cast<int8_t>(tiles_[a][m][i])} *
                     int32_t{tiles_[b][i / 4][4 * n + i % 4]};
      std::memcpy(tiles_[c][m], sums, sizeof(sums));
    }
  }

 private:
  static constexpr int64_t kRows = 16, kRowBytes = 64;
  uint8_t tiles_[8][kRows][kRowBytes] = {};
};

}  // namespace
}  // namespace llmpq
