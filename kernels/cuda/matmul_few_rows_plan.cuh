// How a product of few rows is cut into blocks: the table of its kernels, what they are told, and
// the arithmetic that host and device share.
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
#include <cstddef>

#include "kernels/cuda/context.cuh"
#include "kernels/cuda/tile.cuh"

namespace llmpq::cuda {

/// Warps of a block; half as many where shared memory is too small for their rings.
inline constexpr int kFewRowsWarps = 8;

/// One kernel: its constants as a type, which is its template parameter.
template <int token_tiles, int tiles, int stages, int ranges_per_sm, int blocks_per_sm>
struct FewRowsShape {
  static constexpr int kTokenTiles = token_tiles;  ///< of 8 rows of x; more go to further blocks
  static constexpr int kTiles = tiles;             ///< of 16 outputs, in a warp: they share an x
  static constexpr int kStages = stages;  ///< of a warp's ring: groups on their way from memory
  static constexpr int kRangesPerSm = ranges_per_sm;
  static constexpr int kBlocksPerSm = blocks_per_sm;  ///< that the registers must suffice for
};

/// The one table of constants, measured on an H200. kTiles, kStages and kRangesPerSm decide how a
/// row is added up and are the same for any number of tokens; kTokenTiles is 1, 2 or 4.
template <Format kFormat, int kTokenTiles>
struct ChosenShape;
template <int kTokenTiles>
struct ChosenShape<Format::kW8, kTokenTiles> : FewRowsShape<kTokenTiles, 2, 2, 2, 2> {};
template <int kTokenTiles>
struct ChosenShape<Format::kW4, kTokenTiles> : FewRowsShape<kTokenTiles, 2, 3, 2, 2> {};
template <int kTokenTiles>
struct ChosenShape<Format::kW3, kTokenTiles> : FewRowsShape<kTokenTiles, 2, 4, 2, 2> {};

struct FewRowsTask {
  const std::byte* weights;
  const uint4* x;  ///< as round_to_fragments leaves it
  int64_t n;
  int groups, tiles, sets;
  int tokens, token_tiles;
  int ranges;
  int range_units, longer;  ///< the first `longer` ranges have one unit more than the others
  int chunk;                ///< groups of x that are in shared memory at a time, at most `groups`
  float4* partials;         ///< [token part, range, 2 pieces, tile of the set, token tile, lane]
  unsigned* counters;  ///< [token part, set, warp]: pieces that are done; zero before and after
  const float* bias;
  float* y;
  int64_t y_stride;

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
};

/// What of a device decides how products are cut.
struct FewRowsDevice {
  int sms;
  int block_shared_bytes, sm_shared_bytes;  ///< shared memory: at most for a block; of an SM
};

/// Bytes of a group of x in shared memory.
constexpr int x_group_bytes(int token_tiles) { return token_tiles * 128 * 16; }
/// Bytes of a warp's ring.
template <Format kFormat, typename Shape>
constexpr int ring_bytes() {
  return Shape::kTiles * Shape::kStages * LaneTile<kFormat>::kBytes;
}

/// Warps of a block.
template <Format kFormat, typename Shape>
constexpr int few_rows_warps(const FewRowsDevice& device) {
  const int x = x_group_bytes(4);  // whatever the number of tokens
  const bool fits = kFewRowsWarps * ring_bytes<kFormat, Shape>() + x <= device.block_shared_bytes;
  return fits ? kFewRowsWarps : kFewRowsWarps / 2;
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

/// Where the pieces of a set meet. The room is counted for kMostFewRows tokens, whatever their
/// number is.
struct FewRowsRoom {
  std::byte* partials;
  int64_t partial_bytes;
  unsigned* counters;  ///< zeros
  int64_t counter_count;
};

/// Cuts the matrix (n, k, groups, tiles) into sets and ranges.
inline void deal_out(FewRowsTask& task, const FewRowsDevice& device, const FewRowsRoom& room,
                     int set_tiles, int ranges_per_sm) {
  constexpr int64_t kLeastUnits = 2;  // a shorter range would move more sums than weights
  constexpr int64_t kMostTokenTiles = 8, kMostTokenParts = 2, kSumBytes = 32 * sizeof(float4);
  task.sets = static_cast<int>(divide_up(task.tiles, set_tiles));
  const int64_t units = static_cast<int64_t>(task.sets) * task.groups;
  const int64_t range_bytes = 2 * set_tiles * kMostTokenTiles * kSumBytes;
  int64_t ranges = std::min(
      {int64_t{ranges_per_sm} * device.sms, units / kLeastUnits, room.partial_bytes / range_bytes});
  if (task.sets * kMostTokenParts * kFewRowsWarps > room.counter_count)
    ranges = task.sets;  // every set is one piece
  task.ranges = static_cast<int>(std::max<int64_t>(1, ranges));
  task.range_units = static_cast<int>(units / task.ranges);
  task.longer = static_cast<int>(units % task.ranges);
  task.partials = reinterpret_cast<float4*>(room.partials);
  task.counters = room.counters;
}

/// As many groups of x at a time as `bytes` hold; the chunks of the longest range are alike.
template <typename Shape>
constexpr int few_rows_chunk(const FewRowsTask& task, int bytes) {
  const int longest = task.range_units + (task.longer > 0 ? 1 : 0);
  const int most = std::min({longest, task.groups, bytes / x_group_bytes(Shape::kTokenTiles)});
  const int chunks = (longest + most - 1) / most;
  return (longest + chunks - 1) / chunks;
}

}  // namespace llmpq::cuda
