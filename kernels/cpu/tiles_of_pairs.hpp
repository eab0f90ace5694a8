// Tiles that are multiplied by products of pairs: how tile_order.hpp looks at these. Comes after a
// lanes_*.hpp.
#pragma once

#include "kernels/cpu/matmul_bf16_pairs.hpp"

namespace llmpq {
namespace {

template <typename Unit>
class TilesOfPairs {
 public:
  template <int tile>
  void load(const void* from, int64_t stride) {
    for (int64_t r = 0; r < kRows; ++r)
      __builtin_memcpy(tiles_[tile][r], static_cast<const uint8_t*>(from) + r * stride, kVector);
  }
  template <int tile>
  void store(void* to, int64_t stride) const {
    for (int64_t r = 0; r < kRows; ++r)
      __builtin_memcpy(static_cast<uint8_t*>(to) + r * stride, tiles_[tile][r], kVector);
  }
  template <int c, int a, int b>
  void dot_bf16() {
    const FlushDenormals flush;
    for (int64_t row = 0; row < kRows; ++row) add_row(tiles_[c][row], tiles_[a][row], b);
  }

 private:
  static constexpr int64_t kRows = 16;

  [[gnu::noinline]] void add_row(uint8_t* sums, const uint8_t* x_row, int b) const {
    uint16_t x[2 * kBlockPairs];
    __builtin_memcpy(x, x_row, sizeof(x));
    F32x16 even = broadcast(0.0f), odd = even;
    for (int64_t i = 0; i < 2 * kBlockPairs; i += kQuad) {
      uint16_t sorted[kQuad];
      sort_inputs(x + i, sorted);
      typename Unit::Pairs of_even, of_odd;
      Unit::sort(tiles_[b][i / 2], of_even, of_odd);
      even = Unit::dot(even, of_even, sorted);
      odd = Unit::dot(odd, of_odd, sorted + 2);
    }
    float sum[kLanes];
    __builtin_memcpy(sum, sums, sizeof(sum));
    add_block_sums(sum, even, odd);
    __builtin_memcpy(sums, sum, sizeof(sum));
  }

  alignas(64) uint8_t tiles_[8][kRows][kVector] = {};
};

}  // namespace
}  // namespace llmpq
