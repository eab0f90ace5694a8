// y = x w^T of bf16 inputs and bf16 weights by products of tiles (AMX): for many rows. A product of
// two tiles is a block of matmul_bf16.hpp, 32 inputs, and adds up in its order: the bits are the
// same. Included after a lanes_*.hpp; `Tiles` is AmxTiles or, in the tests, PlainTiles.
//
// As in matmul_amx.hpp four tiles hold the sums of 32 rows and 32 outputs, here acc itself, which
// is loaded for the four blocks of a group. 16 packed vectors of weights, each a pair of inputs for
// 16 outputs, are a tile as they lie:
//
//   x [32 rows, 128] | 4 | 4'| 4"| 4*|    pairs of output tile 0: | 6 |, of tile 1: | 7 |    | 0 |
//   1 |
//                    | 5 | 5'| 5"| 5*|                            | 6'|             | 7'|    | 2 |
//                    3 |
//                                                                   ...               ...
//
// The bound on paper for Sapphire Rapids, not measured, in cycles of a group (2^18 operations)
// whose data are in L1: products 16 x 16 = 256; loads, two a cycle, 16 x 16 rows of x and w and 4 x
// 16 of sums = 160; stores, one a cycle, 4 x 16 = 64. So it is the unit's 1024 operations a cycle
// that bound it. x comes from L2: 8 KiB a group.
#pragma once

#include "kernels/cpu/bf16_blocks.hpp"
#include "kernels/cpu/matmul_amx.hpp"

namespace llmpq {
namespace {

/// At most 32 rows of a panel at one group of bf16 weights.
struct PairBlock {
  const uint8_t* weights[2];
  int64_t blocks;     ///< of 32 inputs: a tile of each
  const uint16_t* x;  ///< rows kGroup apart
  int64_t ahead;      ///< bytes to the next group, which is asked for; 0: it is not
  float* acc;         ///< [kTileRowStep, kPanel]
};

/// What the next group has where `at` is in this one.
LLMPQ_INLINE void ask_for_pairs(const PairBlock& block, int64_t at) {
  if (block.ahead == 0) return;
  for (const uint8_t* const weights : block.weights)
    for (int64_t i = 0; i < kBlockPairs; ++i)
      __builtin_prefetch(weights + block.ahead + at + i * kVector);
}

/// acc goes on by a group, for 32 rows if `both` is true, else for 16.
template <bool both, typename Tiles>
[[gnu::noinline]] void advance_tiles(Tiles& tiles, const PairBlock& block) {
  constexpr int64_t kXBytes = kGroup * static_cast<int64_t>(sizeof(uint16_t));
  constexpr int64_t kAccBytes = kPanel * static_cast<int64_t>(sizeof(float));
  float* const above = block.acc;
  float* const below = above + kTileRows * kPanel;
  tiles.template load<0>(above, kAccBytes);
  tiles.template load<1>(above + kTile, kAccBytes);
  if constexpr (both) {
    tiles.template load<2>(below, kAccBytes);
    tiles.template load<3>(below + kTile, kAccBytes);
  }
  for (int64_t i = 0; i < block.blocks; ++i) {
    const uint16_t* const x = block.x + i * 2 * kBlockPairs;
    tiles.template load<4>(x, kXBytes);
    tiles.template load<6>(block.weights[0] + i * kBlockBytes, kVector);
    tiles.template dot_bf16<0, 4, 6>();
    tiles.template load<7>(block.weights[1] + i * kBlockBytes, kVector);
    tiles.template dot_bf16<1, 4, 7>();
    ask_for_pairs(block, i * kBlockBytes);
    if constexpr (both) {
      tiles.template load<5>(x + kTileRows * kGroup, kXBytes);
      tiles.template dot_bf16<2, 5, 6>();
      tiles.template dot_bf16<3, 5, 7>();
    }
  }
  tiles.template store<0>(above, kAccBytes);
  tiles.template store<1>(above + kTile, kAccBytes);
  if constexpr (both) {
    tiles.template store<2>(below, kAccBytes);
    tiles.template store<3>(below + kTile, kAccBytes);
  }
}

/// One panel for rows [begin, end), at most kTileRowChunk.
template <typename Tiles>
LLMPQ_INLINE void multiply_pair_tiles(Tiles& tiles, const MatmulTask& task, int64_t panel,
                                      int64_t begin, int64_t end) {
  alignas(64) BlockRoom room[2];
  alignas(64) float acc[kTileRowChunk * kPanel];
  const int64_t rows = (end - begin + kTileRows - 1) / kTileRows * kTileRows;
  __builtin_memset(acc, 0, static_cast<size_t>(rows * kPanel) * sizeof(float));
  const uint8_t* tile = first_tile(task, panel);
  // Without a second tile the first is computed twice; finish_panel drops the copy.
  const int64_t to_second = has_second(task, panel) ? task.tile_bytes : 0;
  const uint16_t* x = task.x_bf16.values + begin * kGroup;
  for (int64_t k = 0; k < task.k; k += kGroup, tile += task.group_bytes) {
    const int64_t size = task.k - k < kGroup ? task.k - k : kGroup;
    PairBlock block{{tile, tile + to_second}, blocks_of(size), x, task.group_bytes, acc};
    if (!is_whole(size))
      for (int t = 0; t < 2; ++t) block.weights[t] = filled_up(block.weights[t], size, room[t]);
    if (size < kGroup) block.ahead = 0;
    for (int64_t left = rows; left > 0; left -= kTileRowStep) {
      if (left > kTileRows) {
        advance_tiles<true>(tiles, block);
      } else {
        advance_tiles<false>(tiles, block);
      }
      block.x += kTileRowStep * kGroup;
      block.acc += kTileRowStep * kPanel;
      block.ahead = 0;
    }
    x += task.x_bf16.rows * kGroup;
  }
  finish_panel(task, panel, begin, end, acc);
}

template <typename Tiles>
void matmul_pair_tiles_kernel(const MatmulTask& task, const MatmulCut& cut, int64_t begin,
                              int64_t end) {
  Tiles tiles;  // for all items: making it takes its time
  for_items(task, cut, begin, end, [&](int64_t panel, int64_t first, int64_t last) {
    multiply_pair_tiles(tiles, task, panel, first, last);
  });
}

/// A table with tiles for bf16 products of many rows too.
template <typename Tiles>
KernelTable with_bf16_tiles(KernelTable table) {
  table.matmul_bf16_tiles = matmul_pair_tiles_kernel<Tiles>;
  return table;
}

}  // namespace
}  // namespace llmpq
