// y = x w^T of bf16 inputs and bf16 weights by products of pairs, two in one instruction
// (AVX512_BF16). Included after a lanes_*.hpp; `Unit` is Avx512Pairs or, in the tests, PlainPairs.
//
// An instruction adds the products of two inputs to a sum, one after the other: with pairs of
// inputs (0, 2), (4, 6), ... and (1, 3), (5, 7), ... it makes the two chains of matmul_bf16.hpp, to
// the bit. Packed vectors hold (0, 1), (2, 3), ..., as a tile unit wants them; so two of them are
// sorted anew before they are multiplied, for few rows in registers, for more in a panel of 128 x
// 32 in L1 that all rows of the item share. Inputs are sorted as they are rounded.
#pragma once

#include "kernels/convert.hpp"
#include "kernels/cpu/bf16_blocks.hpp"
#include "kernels/cpu/matmul_panel.hpp"

namespace llmpq {
namespace {

/// Rows of a register tile of 32 outputs: at most, and where it holds both chains of a block.
constexpr int64_t kPairRows = 12, kRowsOfBoth = 6;
constexpr int64_t kQuad = 4;  ///< inputs that are sorted together: two pairs
constexpr int64_t kBlockQuads = kBlockPairs / 2;

/// Weights of a quad for the 32 outputs of a panel: of the inputs 0 and 2, and of 1 and 3.
template <typename Unit>
struct QuadWeights {
  typename Unit::Pairs even[2], odd[2];
};

/// A group as it is packed.
template <typename Unit>
struct PackedQuads {
  const uint8_t* tiles[2];
  int64_t ahead;  ///< bytes to the weights to ask for

  LLMPQ_INLINE void ask(int64_t quad) const {
    for (const uint8_t* const tile : tiles)
      for (int64_t i = 0; i < 2; ++i) __builtin_prefetch(tile + ahead + (2 * quad + i) * kVector);
  }
  LLMPQ_INLINE QuadWeights<Unit> load(int64_t quad) const {
    QuadWeights<Unit> weights;
    for (int t = 0; t < 2; ++t)
      Unit::sort(tiles[t] + quad * 2 * kVector, weights.even[t], weights.odd[t]);
    return weights;
  }
};

/// A group of a panel, sorted.
template <typename Unit>
struct SortedQuads {
  static constexpr int64_t kQuadBytes = 4 * kVector;
  alignas(64) uint8_t weights[kGroup / kQuad * kQuadBytes];
  PackedQuads<Unit> packed;  ///< where they came from

  LLMPQ_INLINE void ask(int64_t quad) const { packed.ask(quad); }
  LLMPQ_INLINE QuadWeights<Unit> load(int64_t quad) const {
    const uint8_t* const from = weights + quad * kQuadBytes;
    QuadWeights<Unit> to;
    for (int t = 0; t < 2; ++t) {
      to.even[t] = Unit::load(from + t * kVector);
      to.odd[t] = Unit::load(from + (2 + t) * kVector);
    }
    return to;
  }

  LLMPQ_INLINE void sort(int64_t quads) {
    uint8_t* to = weights;
    for (int64_t i = 0; i < quads; ++i, to += kQuadBytes) {
      const QuadWeights<Unit> sorted = packed.load(i);
      for (int t = 0; t < 2; ++t) {
        Unit::store(to + t * kVector, sorted.even[t]);
        Unit::store(to + (2 + t) * kVector, sorted.odd[t]);
      }
    }
  }
};

/// Sums of some rows and the 32 outputs: of the even inputs of a block, or of the odd ones.
template <typename Unit, int rows>
struct PairChains {
  F32x16 sums[rows][2];

  LLMPQ_INLINE void begin() {
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) sums[r][0] = sums[r][1] = broadcast(0.0f);
  }
  /// A pair of each row, `x` of the first.
  LLMPQ_INLINE void add(const typename Unit::Pairs (&w)[2], const uint16_t* x) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
      for (int t = 0; t < 2; ++t) sums[r][t] = Unit::dot(sums[r][t], w[t], x + r * kGroup);
  }
};

/// A block of a group: its first quad, and the inputs of the first row there.
struct QuadBlock {
  int64_t quad;
  const uint16_t* x;
};

/// acc[r][0..31] goes on by a block, both chains together: its weights are loaded once.
template <typename Unit, int rows, typename Group>
LLMPQ_INLINE void add_both_chains(const Group& group, const QuadBlock& block, float* acc) {
  PairChains<Unit, rows> even, odd;
  even.begin();
  odd.begin();
  for (int64_t i = 0; i < kBlockQuads; ++i) {
    group.ask(block.quad + i);
    const QuadWeights<Unit> w = group.load(block.quad + i);
    even.add(w.even, block.x + i * kQuad);
    odd.add(w.odd, block.x + i * kQuad + 2);
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
    for (int t = 0; t < 2; ++t)
      add_block_sums(acc + r * kPanel + t * kLanes, even.sums[r][t], odd.sums[r][t]);
}

/// The same, one chain after the other: registers hold one.
template <typename Unit, int rows, typename Group>
LLMPQ_INLINE void add_each_chain(const Group& group, const QuadBlock& block, float* acc) {
  alignas(64) float even[rows][kPanel];
  PairChains<Unit, rows> chains;
  chains.begin();
  for (int64_t i = 0; i < kBlockQuads; ++i) {
    group.ask(block.quad + i);
    chains.add(group.load(block.quad + i).even, block.x + i * kQuad);
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
    for (int t = 0; t < 2; ++t) store(even[r] + t * kLanes, chains.sums[r][t]);
  chains.begin();
  for (int64_t i = 0; i < kBlockQuads; ++i)
    chains.add(group.load(block.quad + i).odd, block.x + i * kQuad + 2);
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
    for (int t = 0; t < 2; ++t)
      add_block_sums(acc + r * kPanel + t * kLanes, load(even[r] + t * kLanes), chains.sums[r][t]);
}

/// acc[r][0..31] goes on by `blocks` blocks of a group. x: rows kGroup apart.
template <typename Unit, int rows, typename Group>
[[gnu::noinline]] void advance_pair_rows(const Group& group, int64_t blocks, const uint16_t* x,
                                         float* acc) {
  for (int64_t i = 0; i < blocks; ++i, x += kBlockQuads * kQuad) {
    const QuadBlock block{i * kBlockQuads, x};
    if constexpr (rows <= kRowsOfBoth) {
      add_both_chains<Unit, rows>(group, block, acc);
    } else {
      add_each_chain<Unit, rows>(group, block, acc);
    }
  }
}

/// advance_pair_rows for `count` rows, at most `rows`.
template <typename Unit, int rows, typename Group>
LLMPQ_INLINE void advance_pairs(int64_t count, const Group& group, int64_t blocks,
                                const uint16_t* x, float* acc) {
  if constexpr (rows > 0) {
    if (count == rows) return advance_pair_rows<Unit, rows>(group, blocks, x, acc);
    advance_pairs<Unit, rows - 1>(count, group, blocks, x, acc);
  }
}

/// All rows through a sorted panel, in tiles of nearly equal height: a low one would wait for its
/// sums.
template <typename Unit>
LLMPQ_INLINE void advance_by_panel(const SortedQuads<Unit>& panel, int64_t blocks, int64_t rows,
                                   const uint16_t* x, float* acc) {
  for (int64_t tiles = (rows + kRowsOfBoth - 1) / kRowsOfBoth; tiles > 0; --tiles) {
    const int64_t count = (rows + tiles - 1) / tiles;
    advance_pairs<Unit, kRowsOfBoth>(count, panel, blocks, x, acc);
    rows -= count;
    x += count * kGroup;
    acc += count * kPanel;
  }
}

/// acc [rows, kPanel] = all groups of a panel.
template <typename Unit>
LLMPQ_INLINE void add_groups(const MatmulTask& task, int64_t panel, int64_t begin, int64_t rows,
                             float* acc) {
  SortedQuads<Unit> sorted;
  BlockRoom room[2];
  const uint8_t* tile = first_tile(task, panel);
  // Without a second tile the first is computed twice; finish_panel drops the copy.
  const int64_t to_second = has_second(task, panel) ? task.tile_bytes : 0;
  const uint16_t* x = task.x_bf16.values + begin * kGroup;
  for (int64_t k = 0; k < task.k; k += kGroup, tile += task.group_bytes) {
    const int64_t size = task.k - k < kGroup ? task.k - k : kGroup, blocks = blocks_of(size);
    // Beyond the end of two tiles come the next two.
    const bool in_tile = task.k - k > kAheadBytes / task.group_bytes * kGroup;
    PackedQuads<Unit>& packed = sorted.packed;
    packed = {{tile, tile + to_second}, kAheadBytes + (in_tile ? 0 : task.tile_bytes)};
    if (!is_whole(size))
      for (int t = 0; t < 2; ++t) packed.tiles[t] = filled_up(packed.tiles[t], size, room[t]);
    if (rows <= kPairRows) {
      advance_pairs<Unit, kPairRows>(rows, packed, blocks, x, acc);
    } else {
      sorted.sort(blocks * kBlockQuads);
      advance_by_panel(sorted, blocks, rows, x, acc);
    }
    x += task.x_bf16.rows * kGroup;
  }
}

template <typename Unit>
LLMPQ_INLINE void multiply_pairs(const MatmulTask& task, int64_t panel, int64_t begin,
                                 int64_t end) {
  alignas(64) float acc[kRowChunk * kPanel];
  __builtin_memset(acc, 0, static_cast<size_t>((end - begin) * kPanel) * sizeof(float));
  {
    const FlushDenormals flush;
    add_groups<Unit>(task, panel, begin, end - begin, acc);
  }
  finish_panel(task, panel, begin, end, acc);
}

template <typename Unit>
void matmul_pairs_kernel(const MatmulTask& task, const MatmulCut& cut, int64_t begin, int64_t end) {
  for_items(task, cut, begin, end, [&](int64_t panel, int64_t first, int64_t last) {
    multiply_pairs<Unit>(task, panel, first, last);
  });
}

/// The inputs of a quad as Unit::sort() puts the weights: 2, 0, 3, 1.
LLMPQ_INLINE void sort_inputs(const uint16_t* quad, uint16_t* to) {
  to[0] = quad[2];
  to[1] = quad[0];
  to[2] = quad[3];
  to[3] = quad[1];
}

/// Rounded and sorted.
inline void round_row_to_pairs_kernel(const float* x, int64_t k, const Bf16Rows& to, int64_t row) {
  for (int64_t begin = 0, at = row; begin < k; begin += kGroup, at += to.rows) {
    uint16_t rounded[kGroup] = {};
    f32_to_bf16(x + begin, rounded, k - begin < kGroup ? k - begin : kGroup);
    uint16_t* const values = to.values + at * kGroup;
    for (int64_t i = 0; i < kGroup; i += kQuad) sort_inputs(rounded + i, values + i);
  }
}

/// A table with products of pairs for bf16 products.
template <typename Unit>
KernelTable with_bf16_pairs(KernelTable table) {
  table.matmul_bf16_pairs = matmul_pairs_kernel<Unit>;
  table.round_row_to_pairs = round_row_to_pairs_kernel;
  return table;
}

}  // namespace
}  // namespace llmpq
