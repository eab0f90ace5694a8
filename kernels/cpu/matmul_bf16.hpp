// y = x w^T of bf16 inputs and bf16 weights, in the order in which a tile unit multiplies them
// (TDPBF16PS: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2), so that
// every instruction set gives its bits. Inputs are cut into blocks of 32, the last one filled up
// with zeros. For each output, block by block:
//
//   even = fma(x_0, w_0, 0), fma(x_2, w_2, even), ... fma(x_30, w_30, even)
//   odd  = fma(x_1, w_1, 0), fma(x_3, w_3, odd),  ... fma(x_31, w_31, odd)
//   acc  = acc + (even + odd)
//
// Each of these rounds to nearest, takes denormal operands as zero, and makes a zero of a denormal
// result. Panels, rows and the reading of weights are matmul_float.hpp's, which has one chain.
// Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/bf16_blocks.hpp"
#include "kernels/cpu/matmul_float.hpp"

namespace llmpq {
namespace {

/// Weights of pair `pair` of a group, for the 32 outputs: the first of the pair, or the second.
template <int which>
LLMPQ_INLINE void load_weights(const FloatPanel& group, int64_t pair, F32x16 (&w)[2]) {
  const float* const row = group.weights + (2 * pair + which) * kPanel;
  w[0] = load(row);
  w[1] = load(row + kLanes);
}
template <int which>
LLMPQ_INLINE void load_weights(const HalfTiles& group, int64_t pair, F32x16 (&w)[2]) {
  w[0] = load_half<Format::kBf16, which>(group.tiles[0] + pair * kVector);
  w[1] = load_half<Format::kBf16, which>(group.tiles[1] + pair * kVector);
}

LLMPQ_INLINE void ask_for(const FloatPanel& group, int64_t pair) {
  __builtin_prefetch(group.next[0] + pair * kVector);
  __builtin_prefetch(group.next[1] + pair * kVector);
}
LLMPQ_INLINE void ask_for(const HalfTiles& group, int64_t pair) {
  __builtin_prefetch(group.tiles[0] + pair * kVector + group.ahead);
  __builtin_prefetch(group.tiles[1] + pair * kVector + group.ahead);
}

/// Sums of some rows and the 32 outputs: of the even inputs of a block, or of the odd ones.
template <int rows>
struct Chains {
  F32x16 sums[rows][2];

  LLMPQ_INLINE void begin() {
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) sums[r][0] = sums[r][1] = broadcast(0.0f);
  }

  /// One input of each row, `x` of the first.
  LLMPQ_INLINE void add(const F32x16 (&w)[2], const float* x, int64_t x_stride) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const F32x16 value = broadcast(x[r * x_stride]);
      sums[r][0] = fma_flushed(value, w[0], sums[r][0]);
      sums[r][1] = fma_flushed(value, w[1], sums[r][1]);
    }
  }

  /// After `count` inputs: each that is missing adds +0, which makes one of -0.
  LLMPQ_INLINE void end(int64_t count) {
    if (count == kBlockPairs) return;
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
      for (F32x16& sum : sums[r]) sum = add_flushed(sum, broadcast(0.0f));
  }
};

/// A block of a group: of 32 inputs if it is `whole`.
template <bool whole>
struct Block {
  int64_t pair;  ///< its first in the group
  int64_t inputs;
  const float* x;  ///< of the first row
  int64_t x_stride;

  /// How many of its pairs have a first, or a second.
  LLMPQ_INLINE int64_t count(int which) const {
    return whole ? kBlockPairs : (inputs + 1 - which) / 2;
  }
};

template <int which, int rows, typename Group, bool whole>
LLMPQ_INLINE void add_input(const Group& group, const Block<whole>& block, int64_t i,
                            Chains<rows>& chains) {
  F32x16 w[2];
  load_weights<which>(group, block.pair + i, w);
  chains.add(w, block.x + 2 * i + which, block.x_stride);
}

template <int which, int rows, typename Group, bool whole>
LLMPQ_INLINE void run_chains(const Group& group, const Block<whole>& block, Chains<rows>& chains) {
  chains.begin();
  for (int64_t i = 0; i < block.count(which); ++i) {
    if (which == 0) ask_for(group, block.pair + i);
    add_input<which>(group, block, i, chains);
  }
  chains.end(block.count(which));
}

/// Both together: every weight is loaded once.
template <int rows, typename Group, bool whole>
LLMPQ_INLINE void run_both_chains(const Group& group, const Block<whole>& block, Chains<rows>& even,
                                  Chains<rows>& odd) {
  even.begin();
  odd.begin();
  for (int64_t i = 0; i < block.count(1); ++i) {
    ask_for(group, block.pair + i);
    add_input<0>(group, block, i, even);
    add_input<1>(group, block, i, odd);
  }
  if (block.count(1) < block.count(0)) add_input<0>(group, block, block.count(1), even);
  even.end(block.count(0));
  odd.end(block.count(1));
}

/// acc[r][0..31] goes on by a block: `even` as it is or, where registers hold one kind of chains
/// only, as it was stored.
template <int rows, typename Group, bool whole>
LLMPQ_INLINE void add_block(const Group& group, const Block<whole>& block, float* acc) {
  alignas(64) float even_sums[rows][kPanel];
  Chains<rows> even, odd;
  constexpr bool kTogether = 2 * rows <= kFloatRows;
  if constexpr (kTogether) {
    run_both_chains(group, block, even, odd);
  } else {
    run_chains<0>(group, block, even);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
      for (int t = 0; t < 2; ++t) store(even_sums[r] + t * kLanes, even.sums[r][t]);
    run_chains<1>(group, block, odd);
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 2
    for (int t = 0; t < 2; ++t) {
      const F32x16 first = kTogether ? even.sums[r][t] : load(even_sums[r] + t * kLanes);
      add_block_sums(acc + r * kPanel + t * kLanes, first, odd.sums[r][t]);
    }
  }
}

/// acc[r][0..31] goes on by the blocks of a group of `size` inputs.
template <int rows, typename Group>
[[gnu::noinline]] void advance_block_rows(const Group& group, int64_t size, const float* x,
                                          int64_t x_stride, float* acc) {
  constexpr int64_t kInputs = 2 * kBlockPairs;
  int64_t i = 0;
  for (; i + kInputs <= size; i += kInputs)
    add_block<rows>(group, Block<true>{i / 2, kInputs, x + i, x_stride}, acc);
  if (i < size) add_block<rows>(group, Block<false>{i / 2, size - i, x + i, x_stride}, acc);
}

/// advance_block_rows for `count` rows, at most `rows`.
template <int rows, typename Group>
LLMPQ_INLINE void advance_blocks(int64_t count, const Group& group, int64_t size, const float* x,
                                 int64_t x_stride, float* acc) {
  if constexpr (rows > 0) {
    if (count == rows) return advance_block_rows<rows>(group, size, x, x_stride, acc);
    advance_blocks<rows - 1>(count, group, size, x, x_stride, acc);
  }
}

LLMPQ_INLINE void multiply_bf16(const MatmulTask& task, int64_t panel, int64_t begin, int64_t end) {
  alignas(64) float acc[kRowChunk * kPanel];
  const int64_t rows = end - begin;
  __builtin_memset(acc, 0, static_cast<size_t>(rows * kPanel) * sizeof(float));
  const auto advance_by = [](int64_t count, const auto& group, int64_t size, const float* x,
                             int64_t x_stride, float* sums) {
    advance_blocks<kFloatRows>(count, group, size, x, x_stride, sums);
  };
  {
    const FlushDenormals flush;
    if (rows <= kFloatRows) {
      multiply_halves(task, panel, begin, rows, acc, advance_by);
    } else {
      multiply_by_panels(task, panel, begin, rows, acc, advance_by);
    }
  }
  finish_panel(task, panel, begin, end, acc);
}

void matmul_bf16_kernel(const MatmulTask& task, const MatmulCut& cut, int64_t begin, int64_t end) {
  for_items(task, cut, begin, end, [&](int64_t panel, int64_t first, int64_t last) {
    multiply_bf16(task, panel, first, last);
  });
}

}  // namespace
}  // namespace llmpq
