// Blocks of 32 inputs, in which bf16 inputs and bf16 weights are multiplied (matmul_bf16.hpp), as
// vectors of packed weights: one holds a pair of inputs for 16 outputs. Included after a
// lanes_*.hpp.
#pragma once

#include "kernels/cpu/pack.hpp"

namespace llmpq {
namespace {

constexpr int64_t kBlockPairs = 16;
constexpr int64_t kBlockBytes = kBlockPairs * kVector;  ///< of a tile

/// Blocks of a group of `size` inputs, the last one perhaps not full.
[[gnu::always_inline]] constexpr int64_t blocks_of(int64_t size) {
  return (size + 2 * kBlockPairs - 1) / (2 * kBlockPairs);
}

/// Whether the packed weights of a group of `size` inputs are whole blocks.
[[gnu::always_inline]] constexpr bool is_whole(int64_t size) {
  return (size + 1) / 2 % kBlockPairs == 0;
}

/// Room for the weights of a group in whole blocks.
using BlockRoom = uint8_t[kGroup / 2 * kVector];

/// A group of `size` inputs of a tile, copied and filled up with zeros to whole blocks.
[[gnu::always_inline]] inline const uint8_t* filled_up(const uint8_t* tile, int64_t size,
                                                       BlockRoom& room) {
  const int64_t bytes = (size + 1) / 2 * kVector;
  __builtin_memcpy(room, tile, static_cast<size_t>(bytes));
  __builtin_memset(room + bytes, 0, static_cast<size_t>(blocks_of(size) * kBlockBytes - bytes));
  return room;
}

/// acc[0..15] goes on by the two sums of a block.
LLMPQ_INLINE void add_block_sums(float* acc, F32x16 even, F32x16 odd) {
  store(acc, add_flushed(load(acc), add_flushed(even, odd)));
}

}  // namespace
}  // namespace llmpq
