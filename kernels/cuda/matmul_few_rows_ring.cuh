// Packed weights on their way from memory: each warp of matmul_few_rows_kernel.cuh has a ring of
// stages in shared memory, filled by cp.async, so that several KiB of it are under way whatever the
// warp does. No other warp takes part.
#pragma once

#include "kernels/cuda/matmul_few_rows_plan.cuh"

namespace llmpq::cuda {

/// Waits until all but the `kLater` newest stages are there, for the whole warp.
template <int kLater>
__device__ inline void wait_for_stage() {
  wait_for_copies<kLater>();
  __syncwarp();
}

/// Asks L2 for some bytes; both are multiples of 16. All lanes call it.
__device__ inline void ask_for(const std::byte* from, int bytes, int lane) {
#if __CUDA_ARCH__ >= 900
  if (lane == 0) ask_for_bytes(from, bytes);
#else
  constexpr int kLine = 128;
#pragma unroll 1
  for (int at = kLine * lane; at < bytes; at += 32 * kLine) ask_for_line(from + at);
#endif
}

/// Asks for the warp's tiles of units [unit, end): what its ring has no room for yet is on its way
/// from memory while the block waits for x.
template <Format kFormat, int kTiles>
__device__ inline void ask_ahead(const FewRowsTask& task, int unit, int end, int first_tile) {
  constexpr int kBytes = LaneTile<kFormat>::kBytes;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int set_tiles = static_cast<int>(blockDim.x / 32) * kTiles;
#pragma unroll 1
  while (unit < end) {
    const FewRowsRun run = run_of(task, set_tiles, first_tile, unit, end);
#pragma unroll
    for (int r = 0; r < kTiles; ++r) {
      const int64_t tile = min(run.tile + r, task.tiles - 1);
      ask_for(task.weights + (tile * task.groups + run.group) * kBytes, run.count * kBytes, lane);
    }
    unit += run.count;
  }
}

/// A lane's share of copying a row of tiles, group after group.
template <Format kFormat>
struct TileRow {
  const std::byte* next;

  __device__ void open(const FewRowsTask& task, int tile, int group, int lane) {
    next = task.weights +
           (static_cast<int64_t>(tile) * task.groups + group) * LaneTile<kFormat>::kBytes +
           16 * lane;
  }
  __device__ void copy(int lane, std::byte* to) {
    constexpr int kBytes = LaneTile<kFormat>::kBytes;
#pragma unroll
    for (int at = 0; at < kBytes; at += 512)
      if (at + 512 <= kBytes || 16 * lane < kBytes - at)
        copy_16_bytes_of_line(to + at + 16 * lane, next + at);
    next += kBytes;
  }
};

/// The weights of a warp's tiles in the units of a range, in order.
template <Format kFormat, int kTiles, int kStages>
class WeightRing {
 public:
  static constexpr int kTileBytes = LaneTile<kFormat>::kBytes;
  static constexpr int kStageBytes = kTiles * kTileBytes, kBytes = kStages * kStageBytes;

  /// `first_tile`, of the warp in its set.
  __device__ WeightRing(const FewRowsTask& task, int begin, int end, std::byte* memory,
                        int first_tile)
      : task_(task),
        memory_(memory),
        left_(end - begin),
        set_(begin / task.groups),
        group_(begin % task.groups),
        first_tile_(first_tile) {
    lane_ = static_cast<int>(threadIdx.x % 32);
    open_rows();
#pragma unroll
    for (int stage = 0; stage < kStages; ++stage) refill();
  }

  /// The tiles of the oldest unit in the ring, when they are there.
  __device__ const std::byte* wait() const {
    wait_for_stage<kStages - 1>();
    return memory_ + at_;
  }

  /// The oldest unit has been read: the next one takes its place.
  __device__ void refill() {
    __syncwarp();
    if (left_ > 0) {
#pragma unroll
      for (int r = 0; r < kTiles; ++r) rows_[r].copy(lane_, memory_ + at_ + r * kTileBytes);
      --left_;
      if (++group_ == task_.groups) {
        group_ = 0;
        ++set_;
        open_rows();
      }
    }
    close_copies();
    at_ = at_ + kStageBytes == kBytes ? 0 : at_ + kStageBytes;
  }

 private:
  __device__ void open_rows() {
#pragma unroll
    for (int r = 0; r < kTiles; ++r) {  // a tile past the last one is read as that and not stored
      const int tile = set_ * static_cast<int>(blockDim.x / 32) * kTiles + first_tile_ + r;
      rows_[r].open(task_, min(tile, task_.tiles - 1), group_, lane_);
    }
  }

  const FewRowsTask& task_;
  std::byte* memory_;
  int left_, set_, group_, first_tile_, lane_, at_ = 0;
  TileRow<kFormat> rows_[kTiles];
};

}  // namespace llmpq::cuda
