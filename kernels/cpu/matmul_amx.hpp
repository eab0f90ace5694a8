// y = x w^T with int8 inputs and w8, w4 or w3 weights, by products of tiles (AMX): for many rows.
// The formula and its order are matmul_groups.hpp's, so that the bits are those of matmul_int8.hpp.
// Included after a lanes_*.hpp; `Tiles` is AmxTiles or, in the tests, PlainTiles.
//
// A block is 32 rows and 32 outputs at one group: four tiles of sums, each from two tiles of 16
// rows of 64 inputs and two of 16 quads, which are rows of 64 bytes as the weights are packed or
// decoded:
//
//   x [32 rows, 128] | 4 | 4'|      quads of output tile 0: | 6 |, of tile 1: | 7 |    | 0 | 1 |
//                    | 5 | 5'|                              | 6'|             | 7'|    | 2 | 3 |
//
// Sums go through memory to become floats. That takes as long as the products, so it is done one
// block late, between the products of the next.
//
// The bound on paper for Sapphire Rapids, not measured, in cycles of a block (2^18 operations)
// whose data are in L1: products 8 x 16 = 128; loads, two a cycle, 8 x 16 rows of tiles and for
// each row of 32 outputs 2 + 2 vectors and 2 broadcasts = 160; stores, one a cycle, 4 x 16 rows and
// 64 vectors = 128; vectors 64 x (subtract, convert, multiply, fma) on two ports = 128. So 80 % of
// the unit's 2048 operations a cycle at the very best. x comes from L2: 4 KiB a block. Decoding w4
// or w3 takes some 70 cycles a group and panel more: 7 % of the time with 192 rows, 40 % with 32.
#pragma once

#include "kernels/cpu/matmul_groups.hpp"

namespace llmpq {
namespace {

constexpr int64_t kTileRows = 16;
constexpr int64_t kTileInputs = 64;
constexpr int64_t kTileQuads = kTileInputs / 4;
constexpr int64_t kTileSums = kTileRows * kTile;
static_assert(kTileRowStep == 2 * kTileRows);

/// At most 32 rows of a panel at one group.
struct TileBlock {
  QuadPanel weights;
  IntRows in;
  int64_t rows;   ///< 0: nothing
  int64_t lines;  ///< of each tile's next group to ask for: 0 unless it is the first at its group
  int32_t* sums;  ///< [4, kTileRows, kTile]
  float* acc;     ///< [rows, kPanel]
};

/// Adds the sums of rows [8 quarter, 8 quarter + 8) to acc, as far as they exist.
template <int quarter>
LLMPQ_INLINE void add_sums(const TileBlock& block) {
  constexpr int64_t kRows = kTileRowStep / 4, kFirst = quarter * kRows;
  const int64_t rows = block.rows < kFirst + kRows ? block.rows : kFirst + kRows;
  if (rows <= kFirst) return;
  const PanelScales scales(block.weights.groups[0], block.weights.groups[1]);
  const IntRows in = block.in;
  const int32_t* sums = block.sums + quarter / 2 * 2 * kTileSums + quarter % 2 * kRows * kTile;
  float* acc = block.acc + kFirst * kPanel;
  for (int64_t row = kFirst; row < rows; ++row, sums += kTile, acc += kPanel)
    add_group(load_ints(sums), load_ints(sums + kTileSums), in, row, scales, acc);
}

/// A quarter of what a block asks for.
template <int quarter>
LLMPQ_INLINE void ask_for_next(const TileBlock& block) {
  for (int64_t i = block.lines * quarter / 4; i < block.lines * (quarter + 1) / 4; ++i) {
    __builtin_prefetch(block.weights.next[0] + i * kVector);
    __builtin_prefetch(block.weights.next[1] + i * kVector);
  }
}

/// Products of 64 inputs: `part` 0 or 1 of a group.
template <typename Tiles>
LLMPQ_INLINE void multiply_part(Tiles& tiles, const TileBlock& block, int64_t part) {
  const int8_t* const x = block.in.x + part * kTileInputs;
  const int64_t at = part * kTileQuads * kVector;
  tiles.template load<4>(x, kGroup);
  tiles.template load<6>(block.weights.quads[0] + at, kVector);
  tiles.template dot<0, 4, 6>();
  tiles.template load<7>(block.weights.quads[1] + at, kVector);
  tiles.template dot<1, 4, 7>();
  if (block.rows <= kTileRows) return;
  tiles.template load<5>(x + kTileRows * kGroup, kGroup);
  tiles.template dot<2, 5, 6>();
  tiles.template dot<3, 5, 7>();
}

/// The sums of a block, and those of the block before it to their acc.
template <typename Tiles>
[[gnu::noinline]] void multiply_block(Tiles& tiles, const TileBlock& block,
                                      const TileBlock& before) {
  tiles.template zero<0>();
  tiles.template zero<1>();
  tiles.template zero<2>();
  tiles.template zero<3>();
  multiply_part(tiles, block, 0);
  add_sums<0>(before);
  ask_for_next<0>(block);
  add_sums<1>(before);
  ask_for_next<1>(block);
  if (block.weights.count > kTileQuads) multiply_part(tiles, block, 1);
  add_sums<2>(before);
  ask_for_next<2>(block);
  add_sums<3>(before);
  ask_for_next<3>(block);
  constexpr int64_t kRowBytes = kTile * static_cast<int64_t>(sizeof(int32_t));
  tiles.template store<0>(block.sums, kRowBytes);
  tiles.template store<1>(block.sums + kTileSums, kRowBytes);
  if (block.rows <= kTileRows) return;
  tiles.template store<2>(block.sums + 2 * kTileSums, kRowBytes);
  tiles.template store<3>(block.sums + 3 * kTileSums, kRowBytes);
}

/// Whole tiles of quads where a group's last is not full and cannot be read on in the packed
/// weights. What is past its quads is multiplied by inputs of 0.
LLMPQ_INLINE void complete_tiles(QuadPanel& weights, uint8_t (&room)[2][kQuads * kVector]) {
  if (weights.count % kTileQuads == 0) return;
  for (int t = 0; t < 2; ++t) {
    if (weights.quads[t] == room[t]) continue;
    __builtin_memcpy(room[t], weights.quads[t], static_cast<size_t>(weights.count * kVector));
    weights.quads[t] = room[t];
  }
}

/// One panel for rows [begin, end), at most kTileRowChunk.
template <typename Tiles>
LLMPQ_INLINE void multiply_tiles(Tiles& tiles, const MatmulTask& task, int64_t panel, int64_t begin,
                                 int64_t end) {
  alignas(64) uint8_t room[2][kQuads * kVector] = {};
  alignas(64) int32_t sums[2][4 * kTileSums];
  alignas(64) float acc[kTileRowChunk * kPanel];
  __builtin_memset(acc, 0, static_cast<size_t>((end - begin) * kPanel) * sizeof(float));
  PanelGroups groups(task, panel);
  TileBlock before{};
  int next = 0;
  for (int64_t g = 0; groups.inputs > 0; ++g) {
    QuadPanel weights = groups.next(room);
    complete_tiles(weights, room);
    IntRows in = rows_at(task.x_int8, g, begin);
    for (int64_t row = begin; row < end; row += kTileRowStep, in.advance(kTileRowStep)) {
      const int64_t left = end - row;
      const TileBlock block{weights,
                            in,
                            left < kTileRowStep ? left : kTileRowStep,
                            row == begin ? task.group_bytes / kVector : 0,
                            sums[next],
                            acc + (row - begin) * kPanel};
      multiply_block(tiles, block, before);
      before = block;
      next = 1 - next;
    }
  }
  add_sums<0>(before);
  add_sums<1>(before);
  add_sums<2>(before);
  add_sums<3>(before);
  finish_panel(task, panel, begin, end, acc);
}

/// Items of a cut; those of few rows go to the product of the table `few`.
template <typename Tiles, const KernelTable& (*few)()>
void matmul_tiles_kernel(const MatmulTask& task, const MatmulCut& cut, int64_t begin, int64_t end) {
  if (task.tokens < kFewestTileRows) return few().matmul_int8(task, cut, begin, end);
  Tiles tiles;  // for all items: making it takes its time
  for_items(task, cut, begin, end, [&](int64_t panel, int64_t first, int64_t last) {
    multiply_tiles(tiles, task, panel, first, last);
  });
}

/// The table `few`, but with tiles for integer products of many rows.
template <typename Tiles, const KernelTable& (*few)()>
KernelTable with_tiles() {
  KernelTable table = few();
  table.matmul_int8 = matmul_tiles_kernel<Tiles, few>;
  table.int8_row_chunk = kTileRowChunk;
  table.int8_row_step = kTileRowStep;
  return table;
}

}  // namespace
}  // namespace llmpq
