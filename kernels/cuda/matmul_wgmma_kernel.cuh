// The kernel behind matmul_wgmma.cuh, included by the files that instantiate it: y^T = W x^T with
// Hopper's wgmma. Weights are A, from registers, where they are dequantized; x is B, from shared
// memory.
//
//   A team is two warpgroups that multiply, and a thread that loads for them. It takes pieces of
//   work one after the other: 128 outputs (a tile row of 16 for each warp) x kTokens tokens, all
//   groups or a slice of them. A block has one team or two, which know nothing of each other.
//   Blocks of a cluster take neighbouring outputs and the same tokens: each loads a part of the x
//   for all of them.
//
//              weights ring: stages of a group             x ring: stages of 64 inputs
//     loads    8 tiles (16 outputs x 128), as packed       kTokens rows of 128 bytes, swizzled
//     frees    each warp, when its tile is in registers    each warp, when the products have ended
//
//   Every stage has two barriers: *full* (one arrival, and its bytes) and *free* (one arrival of
//   each warp that reads it; for x in all blocks of the cluster, since the copy goes to all). A
//   stage's n-th use is phase n of both: readers wait for parity n % 2 of *full*, the loader waits
//   for the phase before of *free*, parity (n + 1) % 2, which holds at once for n = 0.
//
//   While the products of one span (32 inputs) run, the next one's weights are dequantized into
//   the other of two sets of registers.
#pragma once

#include <algorithm>

#include "kernels/cuda/dequantize_registers.cuh"
#include "kernels/cuda/hopper.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/matmul_wgmma_cut.hpp"
#include "kernels/cuda/shared_memory.cuh"

namespace llmpq::cuda {

inline constexpr int kBlockInputs = 64;      ///< of a stage of x: 128 bytes a token
inline constexpr int kTeamThreads = 256;     ///< that multiply for one piece of work
inline constexpr int kRegisters = 65536;     ///< of an SM
inline constexpr int kSharedBytes = 232448;  ///< that a block can have

/// How a product is cut: tokens of a piece of work (128 or 256), blocks of a cluster, and teams of
/// a block: two of them share an SM's tensor cores, so that one multiplies while the other stores.
template <int kTokensOfPiece, int kBlocksOfCluster, int kTeamsOfBlock>
struct WgmmaShape {
  static constexpr int kTokens = kTokensOfPiece;
  static constexpr int kCluster = kBlocksOfCluster;
  static constexpr int kTeams = kTeamsOfBlock;
  static constexpr int kReaders = kTeams * kTeamThreads;
  static constexpr int kThreads = kReaders + 128;
  /// What the compiler gives every thread, and what the loading warpgroup keeps of it.
  static constexpr int kEvenRegisters = kRegisters / kThreads / 8 * 8;
  static constexpr int kLoaderRegisters = kTeams == 1 ? 40 : 32;
  static constexpr int kReaderRegisters =
      (kEvenRegisters * kThreads - kLoaderRegisters * 128) / kReaders / 8 * 8;
};

struct WgmmaTask {
  const std::byte* weights;
  const std::byte* x;  ///< as round_to_swizzled leaves it
  int64_t n;
  int groups, tile_rows;
  int tokens;
  int slices;
  const float* bias;  ///< may be null
  float* y;           ///< [slices][tokens, n], the rows y_stride apart
  int64_t y_stride, slice_stride;
};

template <typename Shape>
LLMPQ_HOST_DEVICE constexpr WgmmaWork work_of(const WgmmaTask& task) {
  return {task.tile_rows, task.groups, task.tokens, {Shape::kTokens, task.slices}, Shape::kCluster};
}

/// The shared memory of a team: x ring, weights ring, barriers.
template <Format kFormat, typename Shape>
struct WgmmaRing {
  static constexpr int kInputBytes = Shape::kTokens * kBlockInputs * 2;
  static constexpr int kTileBytes = static_cast<int>(tile_bytes(kFormat));
  static constexpr int kWeightBytes = kPieceRows * kTileBytes;
  static constexpr int kMostBarrierBytes = 256;
  static constexpr int kMostBytes = kSharedBytes / Shape::kTeams / 1024 * 1024;
  static constexpr int kWeightStages = Shape::kTeams == 1 ? 4 : 3;
  static constexpr int kInputStages =
      std::min(8, (kMostBytes - kMostBarrierBytes - kWeightStages * kWeightBytes) / kInputBytes);
  static constexpr int kWeightsAt = kInputStages * kInputBytes;
  static constexpr int kBarriersAt = kWeightsAt + kWeightStages * kWeightBytes;
  static constexpr int kBytes = (kBarriersAt + kMostBarrierBytes + 1023) / 1024 * 1024;
  static_assert(kInputStages >= 3 && kBytes <= kMostBytes);
  static_assert(16 * (kInputStages + kWeightStages) <= kMostBarrierBytes);

  std::byte* memory;
  uint32_t address;

  __device__ explicit WgmmaRing(std::byte* shared)
      : memory(shared), address(shared_address(shared)) {}

  __device__ uint32_t inputs(int stage) const { return address + stage * kInputBytes; }
  __device__ uint32_t weights(int stage) const {
    return address + kWeightsAt + stage * kWeightBytes;
  }
  __device__ const std::byte* tile(int stage, int row) const {
    return memory + kWeightsAt + stage * kWeightBytes + row * kTileBytes;
  }
  __device__ uint32_t inputs_full(int stage) const { return address + kBarriersAt + 16 * stage; }
  __device__ uint32_t inputs_free(int stage) const { return inputs_full(stage) + 8; }
  __device__ uint32_t weights_full(int stage) const { return inputs_full(kInputStages + stage); }
  __device__ uint32_t weights_free(int stage) const { return weights_full(stage) + 8; }

  __device__ void init_barriers() const {
    constexpr int kWarps = kTeamThreads / 32;
    for (int stage = 0; stage < kInputStages; ++stage) {
      barrier_init(inputs_full(stage), 1);
      barrier_init(inputs_free(stage), kWarps * Shape::kCluster);
    }
    for (int stage = 0; stage < kWeightStages; ++stage) {
      barrier_init(weights_full(stage), 1);
      barrier_init(weights_free(stage), kWarps);
    }
    fence_barrier_init();
  }
};

/// Where a thread is in a ring, and the parity of the stage's use.
template <int kStages>
struct RingPlace {
  int stage = 0;
  uint32_t parity = 0;

  __device__ void advance() {
    if (++stage == kStages) stage = 0, parity ^= 1;
  }
  __device__ int before() const { return (stage == 0 ? kStages : stage) - 1; }
};

template <typename Ring>
struct WgmmaPlaces {
  RingPlace<Ring::kInputStages> input;
  RingPlace<Ring::kWeightStages> weight;
};

/// A group of the piece's tile rows. A tile row past the last one is read as that and not stored.
template <typename Ring>
__device__ inline void load_weights(const WgmmaTask& task, const Ring& ring,
                                    const WgmmaPiece& piece, int group, int stage) {
  const uint32_t full = ring.weights_full(stage);
  barrier_expect(full, Ring::kWeightBytes);
#pragma unroll 1
  for (int i = 0; i < kPieceRows; ++i) {
    const int64_t row = min(piece.tile_row + i, task.tile_rows - 1);
    copy_bulk(ring.weights(stage) + i * Ring::kTileBytes,
              task.weights + (row * task.groups + group) * Ring::kTileBytes, Ring::kTileBytes,
              full);
  }
}

/// 64 inputs of the piece's tokens: this block's part of them, to all blocks of the cluster. What
/// lies behind the last eight tokens stays as it was: it belongs to results that are not stored.
template <typename Shape, typename Ring>
__device__ inline void load_inputs(const WgmmaTask& task, const Ring& ring, const WgmmaPiece& piece,
                                   int block_of_inputs, int stage) {
  constexpr int kPart = Ring::kInputBytes / Shape::kCluster;
  const uint32_t full = ring.inputs_full(stage);
  const int eights = (task.tokens + 7) / 8, first = piece.token / 8;
  const int bytes = min(Ring::kInputBytes, (eights - first) * 1024);
  barrier_expect(full, bytes);
  const int begin = Shape::kCluster == 1 ? 0 : static_cast<int>(cluster_rank()) * kPart;
  const int count = min(kPart, bytes - begin);
  if (count <= 0) return;
  const std::byte* from =
      task.x + (static_cast<int64_t>(block_of_inputs) * eights + first) * 1024 + begin;
  if constexpr (Shape::kCluster == 1)
    copy_bulk(ring.inputs(stage), from, count, full);
  else
    copy_bulk_to_all(ring.inputs(stage) + begin, from, count, full, (1 << Shape::kCluster) - 1);
}

/// What the loading thread does for a piece.
template <typename Shape, typename Ring>
__device__ inline void load_piece(const WgmmaTask& task, const Ring& ring, const WgmmaPiece& piece,
                                  WgmmaPlaces<Ring>& at) {
#pragma unroll 1
  for (int group = piece.begin; group < piece.end; ++group) {
    barrier_wait(ring.weights_free(at.weight.stage), at.weight.parity ^ 1);
    load_weights(task, ring, piece, group, at.weight.stage);
    at.weight.advance();
    wait_for_kernel_before();  // x is its work; weights were packed before that
#pragma unroll 1
    for (int half = 0; half < 2; ++half) {
      barrier_wait(ring.inputs_free(at.input.stage), at.input.parity ^ 1);
      load_inputs<Shape>(task, ring, piece, 2 * group + half, at.input.stage);
      at.input.advance();
    }
  }
}

__device__ inline int warp_of_team() { return static_cast<int>(threadIdx.x % kTeamThreads / 32); }

/// A warp's tile of the next group.
template <Format kFormat>
struct WgmmaWeights {
  LaneTile<kFormat> tile;
  LaneScales<kFormat> scales;

  template <typename Ring>
  __device__ void take(const Ring& ring, WgmmaPlaces<Ring>& at) {
    const int warp = warp_of_team(), lane = static_cast<int>(threadIdx.x % 32);
    const int stage = at.weight.stage;
    barrier_wait(ring.weights_full(stage), at.weight.parity);
    const std::byte* from = ring.tile(stage, warp);
    tile.load(from, lane);
    scales.load(from, lane);
    __syncwarp();
    if (lane == 0) barrier_arrive(ring.weights_free(stage));
    at.weight.advance();
  }
};

/// A warp needs the stage no more, nor what the other blocks' copies put there.
template <typename Shape, typename Ring>
__device__ inline void free_inputs(const Ring& ring, int stage) {
  const uint32_t lane = threadIdx.x % 32;
  if constexpr (Shape::kCluster == 1) {
    if (lane == 0) barrier_arrive(ring.inputs_free(stage));
  } else {
    if (lane < Shape::kCluster) barrier_arrive_at(ring.inputs_free(stage), lane);
  }
}

/// How wgmma finds a matrix in shared memory: rows of 128 bytes along k, eight of them after each
/// other, their 16-byte parts swizzled (part p of row r lies at p ^ r), 1024 bytes to the next
/// eight. `address` is a multiple of 1024; 16 halves further along k add 2 to the result.
__device__ inline uint64_t swizzled_matrix(uint32_t address) {
  return static_cast<uint64_t>((address & 0x3ffff) >> 4) | uint64_t{1} << 16 |
         uint64_t{1024 >> 4} << 32 | uint64_t{1} << 62;
}

/// The products of one span, started: x of the span begins at `b`.
template <typename T, int kSums>
__device__ inline void start_span(float (&sums)[kSums], uint32_t (&a)[8], uint64_t b) {
  keep(a);
  products_fence();
  add_products<T>(sums, a, b);
  add_products<T>(sums, a + 4, b + 2);
  end_products();
}

/// What a multiplying warp does for a piece: all its products. At the end of a span's turn the span
/// itself runs, the one before has ended, and the next one's weights are ready.
template <Format kFormat, typename T, typename Shape, typename Ring>
__device__ inline void multiply_piece(const Ring& ring, int groups, WgmmaPlaces<Ring>& at,
                                      float (&sums)[Shape::kTokens / 2]) {
  uint32_t a[2][8];
  WgmmaWeights<kFormat> weights;
  weights.take(ring, at);
  dequantize_span<T>(weights.tile, 0, weights.scales, a[0]);
  uint64_t b = 0;
#pragma unroll 1
  for (int group = 0; group < groups; ++group) {
#pragma unroll
    for (int span = 0; span < kSpans; ++span) {
      if (span % 2 == 0) {
        barrier_wait(ring.inputs_full(at.input.stage), at.input.parity);
        b = swizzled_matrix(ring.inputs(at.input.stage));
      }
      start_span<T>(sums, a[span % 2], b + span % 2 * 4);
      wait_for_products<1>();
      keep(a[(span + 1) % 2]);
      if (span % 2 == 0) {
        if (group > 0 || span > 0) free_inputs<Shape>(ring, at.input.before());
        at.input.advance();
      }
      if (span + 1 < kSpans) {
        dequantize_span<T>(weights.tile, span + 1, weights.scales, a[(span + 1) % 2]);
      } else if (group + 1 < groups) {
        weights.take(ring, at);
        dequantize_span<T>(weights.tile, 0, weights.scales, a[0]);
      }
    }
  }
  wait_for_products<0>();
  keep(sums);
  free_inputs<Shape>(ring, at.input.before());
}

/// The lane's results: outputs g and g + 8 of the warp's tile row, two tokens of every eight.
template <int kSums>
__device__ inline void store_piece(const WgmmaTask& task, const WgmmaPiece& piece,
                                   const float (&sums)[kSums]) {
  const int warp = warp_of_team(), lane = static_cast<int>(threadIdx.x % 32);
  const int64_t token = piece.token + lane % 4 * 2;
  const int tokens = static_cast<int>(task.tokens - token);
#pragma unroll
  for (int high = 0; high < 2; ++high) {
    const int64_t output = int64_t{piece.tile_row + warp} * kTileOutputs + lane / 4 + 8 * high;
    if (output >= task.n) continue;
    const float bias = task.bias != nullptr ? task.bias[output] : 0.0f;
    float* to = task.y + piece.slice * task.slice_stride + token * task.y_stride + output;
#pragma unroll
    for (int j = 0; j < kSums / 4; ++j, to += 8 * task.y_stride) {
      if (8 * j < tokens) to[0] = sums[4 * j + 2 * high] + bias;
      if (8 * j + 1 < tokens) to[task.y_stride] = sums[4 * j + 2 * high + 1] + bias;
    }
  }
}

template <typename Shape>
__device__ inline void sync_cluster() {
  if constexpr (Shape::kCluster == 1)
    __syncthreads();
  else
    cluster_sync();
}

template <Format kFormat, typename T, typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, 1)
    wgmma_kernel(const __grid_constant__ WgmmaTask task) {
  using Ring = WgmmaRing<kFormat, Shape>;
  const int thread = static_cast<int>(threadIdx.x), loader = thread - Shape::kReaders;
  const bool loads = loader >= 0;
  const int team = loads ? min(loader / 32, Shape::kTeams - 1) : thread / kTeamThreads;
  const Ring ring(dynamic_shared() + team * Ring::kBytes);
  const bool leads = loads && loader % 32 == 0 && loader / 32 < Shape::kTeams;
  if (leads) ring.init_barriers();
  sync_cluster<Shape>();
  const int rank = Shape::kCluster == 1 ? 0 : static_cast<int>(cluster_rank());
  const int first = static_cast<int>(blockIdx.x) / Shape::kCluster * Shape::kTeams + team;
  const int step = static_cast<int>(gridDim.x) / Shape::kCluster * Shape::kTeams;
  const WgmmaWork work = work_of<Shape>(task);
  const int pieces = count_pieces(work);
  WgmmaPlaces<Ring> at;
  if (loads) {
    give_registers<Shape::kLoaderRegisters>();
    if (leads)
      for (int i = first; i < pieces; i += step)
        load_piece<Shape>(task, ring, piece_of(work, i, rank), at);
  } else {
    take_registers<Shape::kReaderRegisters>();
    for (int i = first; i < pieces; i += step) {
      const WgmmaPiece piece = piece_of(work, i, rank);
      float sums[Shape::kTokens / 2] = {};
      multiply_piece<kFormat, T, Shape>(ring, piece.end - piece.begin, at, sums);
      store_piece(task, piece, sums);
    }
  }
  // No block ends while another one may still arrive at its barriers.
  __syncwarp();
  if constexpr (Shape::kCluster > 1) cluster_sync();
}

template <Format kFormat, typename T, typename Shape>
void launch_wgmma(StreamContext& context, const WgmmaTask& task) {
  const auto kernel = wgmma_kernel<kFormat, T, Shape>;
  constexpr int kBytes = Shape::kTeams * WgmmaRing<kFormat, Shape>::kBytes;
  const int pieces = count_pieces(work_of<Shape>(task));
  const int clusters = std::max(
      1, std::min<int>(divide_up(pieces, Shape::kTeams), context.session->sms / Shape::kCluster));
  CHECK_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
  const Grid grid{static_cast<unsigned>(clusters * Shape::kCluster), Shape::kThreads, kBytes,
                  Shape::kCluster};
  launch_kernel(context, "wgmma_kernel", grid, kernel, task);
}

}  // namespace llmpq::cuda
