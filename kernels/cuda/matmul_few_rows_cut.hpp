// How a product of few rows is cut into blocks: the table of its kernels, and the arithmetic alone,
// for host, device and tests without a GPU.
//
//   The outputs are cut into *sets* of warps x tiles x 16, which the warps of a block share among
//   them. A *unit* is a group of inputs of a set. All units, set after set, are dealt out in
//   *ranges* of equal length, one for each block:
//
//     set 0 | u0 u1 u2 u3 u4 | set 1 | u5 u6 u7 u8 u9 | set 2 | u10 u11 u12 u13 u14 |
//     range 0 ------------| range 1 ----------------| range 2 ---------------------|
//
//   So every SM has the same to do whatever n and k are. The part of a range that lies in one set
//   is a *piece*. Where several blocks have pieces of a set, each warp leaves its sums in scratch
//   memory, and whichever warp comes last adds them, in the order of the blocks. How the units are
//   dealt out depends on the matrix and the device, not on the number of tokens: a row is always
//   added up in the same order.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/layout.hpp"

namespace llmpq::cuda {

/// Blocks of an SM, each with a range. Usual: two, so that one computes while the other waits.
/// Wide: one with twice the warps, and so with sets of twice the outputs: half of x is read, and
/// half as many sums of pieces are left and added.
enum class FewRowsBlocks : uint8_t { kUsual, kWide };

/// One kernel: its constants as a type, which is its template parameter. kTiles, kWarps and
/// kRangesPerSm decide how a row is added up and are the same for any number of tokens.
template <Format kFormat, int token_tiles, FewRowsBlocks kBlocks>
struct FewRowsShape {
  static constexpr int kTokenTiles = token_tiles;  ///< 1, 2 or 4 of 8 rows of x, more: more blocks
  static constexpr int kTiles = 2;                 ///< of 16 outputs, in a warp: they share an x
  /// Of a warp's ring: groups on their way from memory. Measured on an H200 for the usual blocks.
  static constexpr int kStages = kFormat == Format::kW8 ? 2 : kFormat == Format::kW4 ? 3 : 4;
  static constexpr int kBlocksPerSm = kBlocks == FewRowsBlocks::kUsual ? 2 : 1;
  static constexpr int kRangesPerSm = kBlocksPerSm;
  /// Of a block; half or a quarter of them where shared memory is too small for their rings.
  static constexpr int kWarps = kBlocks == FewRowsBlocks::kUsual ? 8 : 16;
};
/// Warps of any block.
inline constexpr int kMostFewRowsWarps = 16;

/// What of a device decides how products are cut.
struct FewRowsDevice {
  int sms;
  int block_shared_bytes, sm_shared_bytes;  ///< shared memory: at most for a block; of an SM
  int l2_bytes;
};

struct FewRowsCut {
  int groups, tiles;  ///< of the matrix
  int sets;
  int ranges;
  int range_units, longer;  ///< the first `longer` ranges have one unit more than the others
  int chunk;                ///< groups of x that are in shared memory at a time, at most `groups`
  int ahead;  ///< units of a range whose weights are asked for before x is there; 0: none

  LLMPQ_HOST_DEVICE constexpr int range_begin(int range) const {
    return range * range_units + (range < longer ? range : longer);
  }
  LLMPQ_HOST_DEVICE constexpr int range_of(int unit) const {
    const int in_longer = longer * (range_units + 1);
    return unit < in_longer ? unit / (range_units + 1) : longer + (unit - in_longer) / range_units;
  }
  /// Of a range's two pieces that do not have their set for themselves: the first that lies at its
  /// beginning, the other one.
  LLMPQ_HOST_DEVICE constexpr int piece_slot(int range, int piece_begin) const {
    return 2 * range + (piece_begin == range_begin(range) ? 0 : 1);
  }
  constexpr int longest() const { return range_units + (longer > 0 ? 1 : 0); }
};

/// Groups [group, group + count) of neighbouring tile rows, of which `tile` is the first.
struct FewRowsRun {
  int tile, group, count;
};
/// The run of a set's units that begins with `unit` and ends before `end`, for the warp whose
/// first tile of a set is `first_tile`.
LLMPQ_HOST_DEVICE constexpr FewRowsRun run_of(const FewRowsCut& cut, int set_tiles, int first_tile,
                                              int unit, int end) {
  const int set = unit / cut.groups, group = unit % cut.groups;
  const int left = cut.groups - group, wanted = end - unit;
  return {set * set_tiles + first_tile, group, left < wanted ? left : wanted};
}

/// Bytes of a group of x in shared memory.
constexpr int x_group_bytes(int token_tiles) { return token_tiles * 128 * 16; }
/// Bytes of a warp's ring.
template <Format kFormat, typename Shape>
constexpr int ring_bytes() {
  return Shape::kTiles * Shape::kStages * static_cast<int>(tile_bytes(kFormat));
}

/// Warps of a block.
template <Format kFormat, typename Shape>
constexpr int few_rows_warps(const FewRowsDevice& device) {
  const int x = x_group_bytes(4);  // whatever the number of tokens
  int warps = Shape::kWarps;
  while (warps > 1 && warps * ring_bytes<kFormat, Shape>() + x > device.block_shared_bytes)
    warps /= 2;
  return warps;
}

/// Bytes that a block may take, so that as many as the registers suffice for share an SM if each of
/// them has room for four groups of x.
template <typename Shape>
constexpr int few_rows_budget(const FewRowsDevice& device, int rings) {
  constexpr int kReserved = 1024;  // by the driver, for each block
  for (int blocks = Shape::kBlocksPerSm; blocks > 1; --blocks) {
    const int share = device.sm_shared_bytes / blocks - kReserved;
    if (rings + 4 * x_group_bytes(Shape::kTokenTiles) <= share)
      return std::min(share, device.block_shared_bytes);
  }
  return device.block_shared_bytes;
}

/// What there is for the pieces of a set to meet, counted for kMostFewRows tokens, whatever their
/// number is.
struct FewRowsLimits {
  int64_t partial_bytes, counters;
};

/// A warp's sums of a tile and a tile of tokens; pieces of a range that may be left there; tiles of
/// kMostFewRows tokens, and parts into which they go.
inline constexpr int64_t kSumBytes = 32 * 16, kRangePieces = 2;
inline constexpr int64_t kMostTokenTiles = 8, kMostTokenParts = 2;

/// Cuts the matrix (groups, tiles) into sets and ranges.
constexpr void deal_out(FewRowsCut& cut, const FewRowsDevice& device, const FewRowsLimits& limits,
                        int set_tiles, int ranges_per_sm) {
  constexpr int64_t kLeastUnits = 2;  // a shorter range would move more sums than weights
  cut.sets = (cut.tiles + set_tiles - 1) / set_tiles;
  const int64_t units = static_cast<int64_t>(cut.sets) * cut.groups;
  const int64_t range_bytes = kRangePieces * set_tiles * kMostTokenTiles * kSumBytes;
  int64_t ranges = std::min({int64_t{ranges_per_sm} * device.sms, units / kLeastUnits,
                             limits.partial_bytes / range_bytes});
  if (cut.sets * kMostTokenParts * kMostFewRowsWarps > limits.counters)
    ranges = cut.sets;  // every set is one piece
  cut.ranges = static_cast<int>(std::max<int64_t>(1, ranges));
  cut.range_units = static_cast<int>(units / cut.ranges);
  cut.longer = static_cast<int>(units % cut.ranges);
}

/// As many groups of x at a time as `bytes` hold; the chunks of the longest range are alike.
template <typename Shape>
constexpr int few_rows_chunk(const FewRowsCut& cut, int bytes) {
  const int longest = cut.longest();
  const int most = std::min({longest, cut.groups, bytes / x_group_bytes(Shape::kTokenTiles)});
  const int chunks = (longest + most - 1) / most;
  return (longest + chunks - 1) / chunks;
}

/// As many units as all blocks together may ask for without one driving out another's from L2,
/// whose halves may hold the same: a quarter of it. `unit_bytes`: of a block's unit.
constexpr int few_rows_ahead(const FewRowsCut& cut, const FewRowsDevice& device,
                             int64_t unit_bytes) {
  const int64_t most = device.l2_bytes / 4 / (cut.ranges * unit_bytes);
  return static_cast<int>(std::min<int64_t>(most, cut.longest()));
}

}  // namespace llmpq::cuda
