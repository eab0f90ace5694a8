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

/// A lane's share of copying a tile.
template <Format kFormat>
__device__ inline void copy_tile(std::byte* to, const std::byte* from, int lane) {
  constexpr int kBytes = LaneTile<kFormat>::kBytes;
#pragma unroll
  for (int at = 0; at < kBytes; at += 512)
    if (at + 512 <= kBytes || 16 * lane < kBytes - at)
      copy_16_bytes_of_line(to + at + 16 * lane, from + at);
}

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
        lane_(static_cast<int>(threadIdx.x % 32)),
        left_(end - begin) {
    open(run_of(task, set_tiles(), first_tile, begin, end));
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
    if (run_ > 0) {
#pragma unroll
      for (int r = 0; r < kTiles; ++r)
        copy_tile<kFormat>(memory_ + at_ + r * kTileBytes, next_ + r * row_bytes_, lane_);
      next_ += kTileBytes;
      --run_;
      // A loop, though it runs once: of a condition the compiler makes instructions for every unit.
#pragma unroll 1
      while (run_ == 0 && left_ > 0) open({tile_ + set_tiles(), 0, min(left_, task_.groups)});
    }
    close_copies();
    at_ = at_ + kStageBytes == kBytes ? 0 : at_ + kStageBytes;
  }

 private:
  __device__ static int set_tiles() { return static_cast<int>(blockDim.x / 32) * kTiles; }

  /// Tiles past the last one are read as that and not stored.
  __device__ void open(const FewRowsRun& run) {
    tile_ = run.tile;
    run_ = run.count;
    left_ -= run.count;
    const int row = task_.groups * kTileBytes, last = task_.tiles - 1;
    static_assert(kTiles == 2);
    row_bytes_ = tile_ < last ? row : 0;
    next_ = task_.weights + static_cast<int64_t>(min(tile_, last)) * row + run.group * kTileBytes +
            16 * lane_;
  }

  const FewRowsTask& task_;
  std::byte* memory_;
  int lane_, at_ = 0;
  int tile_, run_, left_;  ///< the first tile of a run, what is left of it, and after it
  const std::byte* next_;  ///< what the lane copies next, of the first tile
  int row_bytes_;          ///< from there to the next tile's
};

}  // namespace llmpq::cuda
