// How much scratch memory CUDA operations need, counted on the host: the operations take exactly
// what is counted here, and the planner adds the largest of them to a stage's bytes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/backend.hpp"
#include "kernels/cuda/layout.hpp"

namespace llmpq::cuda {

/// What cuBLAS may use for products that are split along k; Hopper's kernels ask for 32 MiB.
inline constexpr int64_t kCublasWorkspaceBytes = int64_t{32} << 20;
/// Words in which blocks of a kernel meet.
inline constexpr int64_t kCounters = 65536;

constexpr int64_t rounded_part(int64_t bytes) { return (bytes + 255) / 256 * 256; }

/// Keys that one block of the decode attention reads. Fixed, so that a row's result depends on its
/// position alone.
inline constexpr int64_t kSplitTokens = 256;

/// Partial results of decode attention: per range, head and split an accumulator of head_dim, a sum
/// and a maximum, all f32.
constexpr int64_t attention_scratch_bytes(int64_t sequences, int64_t heads, int64_t head_dim,
                                          int64_t tokens) {
  const int64_t splits = (tokens + kSplitTokens - 1) / kSplitTokens;
  return rounded_part(sequences * heads * splits * (head_dim + 2) * 4);
}

/// Most bytes of dequantized weights that exist at a time: larger matrices go in pieces of rows.
inline constexpr int64_t kDequantizedBytes = int64_t{64} << 20;

/// A product's second part: pieces of dequantized weights (16 bit, or f32 in the exact modes), or
/// what the slices of few rows leave for each other. It grows with k and nk, so that the widest and
/// the largest matrix of a stage bound those of all; at least 16 rows fit, and the whole matrix if
/// it is not larger than kDequantizedBytes and k is a multiple of a group.
constexpr int64_t linear_piece_bytes(int64_t k, int64_t nk, bool exact) {
  const int64_t element = exact ? 4 : 2, row = groups_of(k) * kGroup * element;
  return rounded_part(std::max(row * kTileOutputs, std::min(kDequantizedBytes, nk * element)));
}

/// Products: the rounded inputs [tokens up to a multiple of 8, k up to a multiple of a group] (16
/// bit, or f32 in the exact modes), and the second part.
constexpr int64_t linear_scratch_bytes(int64_t tokens, int64_t k, int64_t nk, bool exact) {
  const int64_t row = groups_of(k) * kGroup * (exact ? 4 : 2);
  return rounded_part((tokens + 7) / 8 * 8 * row) + linear_piece_bytes(k, nk, exact);
}

/// Blocks that work on a row of logits at most, and on all rows where several work on each.
inline constexpr int64_t kMostTeam = 8, kMostTeamBlocks = 512;
/// What a block leaves for the others of its row: a number, and the bins of a histogram.
inline constexpr int kBins = 2048, kTeamNumbers = 1 + kBins;
constexpr int64_t team_bytes(int64_t rows) {
  return rounded_part(std::min(rows * kMostTeam, kMostTeamBlocks) * 2 * kTeamNumbers * 8);
}

/// Sampling: a working copy of the logits, and what teams of blocks need.
constexpr int64_t sample_scratch_bytes(int64_t rows, int64_t vocab) {
  return rounded_part(rows * vocab * 4) + team_bytes(rows);
}

}  // namespace llmpq::cuda
