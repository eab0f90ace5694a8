// How a product of matmul_wgmma.cuh is cut into pieces of work, and which piece comes when: the
// arithmetic alone, for host and device.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <span>

#include "kernels/cuda/layout.hpp"

namespace llmpq::cuda {

inline constexpr int kPieceRows = 8;                 ///< tile rows of 16 outputs in a piece of work
inline constexpr int kClusterBlocks = 2;             ///< blocks that share what they load of x
inline constexpr std::array kPieceTokens{256, 128};  ///< that a piece of work may have
inline constexpr int kBandTokens = 2048;             ///< whose x stays in L2 while all weights pass

struct WgmmaCut {
  int tokens;  ///< of a piece, one of kPieceTokens
  int slices;  ///< of the groups
};

/// A product with its cut. The blocks of a cluster take neighbouring outputs, a piece each.
struct WgmmaWork {
  int tile_rows, groups, tokens;
  WgmmaCut cut;
  int cluster = kClusterBlocks;
};
LLMPQ_HOST_DEVICE constexpr int count_token_tiles(const WgmmaWork& work) {
  return (work.tokens + work.cut.tokens - 1) / work.cut.tokens;
}
LLMPQ_HOST_DEVICE constexpr int count_cluster_rows(const WgmmaWork& work) {
  const int rows = kPieceRows * work.cluster;
  return (work.tile_rows + rows - 1) / rows;
}
/// Pieces of each block of a cluster, over all clusters.
LLMPQ_HOST_DEVICE constexpr int count_pieces(const WgmmaWork& work) {
  return count_token_tiles(work) * count_cluster_rows(work) * work.cut.slices;
}

struct WgmmaPiece {
  int tile_row, token;  ///< the first ones; tile_row may be past the last one
  int begin, end;       ///< groups
  int slice;
};
/// Neighbouring pieces share weights; a band of tokens is done before the next one.
LLMPQ_HOST_DEVICE constexpr WgmmaPiece piece_of(const WgmmaWork& work, int index, int rank) {
  const int band_tiles = kBandTokens / work.cut.tokens;
  const int token_tiles = count_token_tiles(work), rows = count_cluster_rows(work);
  const int slice = index / (rows * token_tiles), in_slice = index % (rows * token_tiles);
  const int band = in_slice / (rows * band_tiles), in_band = in_slice % (rows * band_tiles);
  const int left = token_tiles - band * band_tiles, width = left < band_tiles ? left : band_tiles;
  WgmmaPiece piece{};
  piece.tile_row = (in_band / width * work.cluster + rank) * kPieceRows;
  piece.token = (band * band_tiles + in_band % width) * work.cut.tokens;
  piece.begin = work.groups * slice / work.cut.slices;
  piece.end = work.groups * (slice + 1) / work.cut.slices;
  piece.slice = slice;
  return piece;
}

/// Clock cycles, roughly. A tensor core at full speed does 4096 operations an SM and cycle; how far
/// it is from that, and what a piece costs besides, is measured. All pieces take the same time, so
/// what counts is how full the last round is.
constexpr double predict_cycles(const WgmmaWork& work, int sms) {
  const auto up = [](int64_t a, int64_t b) { return static_cast<double>((a + b - 1) / b); };
  const double rounds = up(count_pieces(work), std::max(1, sms / work.cluster));
  const double group = 8.0 * work.cut.tokens * (work.cut.tokens == 128 ? 2.8 : 1.65);
  const double ends = 2000.0 + 12.0 * work.cut.tokens;  // the first stages, the stores
  const double cycles = rounds * (up(work.groups, work.cut.slices) * group + ends);
  if (work.cut.slices == 1) return cycles;
  // Another kernel, and the slices' sums through L2.
  const double sums = 4.0 * kTileOutputs * work.tile_rows * work.tokens;
  return cycles + 4000.0 + (2.0 * work.cut.slices + 1) * sums / 1500.0;
}

/// The fastest cut, by that, with at most so many slices.
constexpr WgmmaCut choose_cut(WgmmaWork work, int sms, int64_t most_slices,
                              std::span<const int> tokens_of_piece = kPieceTokens) {
  constexpr int64_t kLeastGroups = 4, kMostSlices = 16;  // of a slice; of a product
  const int64_t most =
      std::max<int64_t>(1, std::min({most_slices, work.groups / kLeastGroups, kMostSlices}));
  WgmmaCut best{};
  double least = std::numeric_limits<double>::infinity();
  for (const int tokens : tokens_of_piece)
    for (int slices = 1; slices <= most; ++slices) {
      work.cut = {tokens, slices};
      const double cycles = predict_cycles(work, sms);
      if (cycles >= least) continue;
      least = cycles;
      best = work.cut;
    }
  return best;
}

}  // namespace llmpq::cuda
