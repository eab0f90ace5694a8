// The kernel behind matmul_few_rows.cuh, included by the files that instantiate it. Weights are the
// A operand of mma (16 outputs), rows of x are B (tiles of 8 tokens): y^T = W x^T.
//
//   The work is cut into warps, and a warp never waits for another one: each takes a *set* of
//   tiles_per_warp neighbouring tile rows (16 outputs each) and a *slice* of their groups.
//
//              slice 0         slice 1          slice 2
//     set 0   | g0 g1 g2 g3 | g4 g5 g6 g7 | g8 g9 g10 g11 |
//     set 1   |     ...     |             |               |
//
//   A block is neighbouring sets in one slice: they read the same x, which L1 has for all but one.
//
//   Groups flow through a ring of stages in shared memory, by cp.async, so that 4 KiB and more of
//   each warp are on their way from memory whatever the warp does. A group is multiplied as exact
//   integers into f32 sums of its own, which then are added to the row's with the scale. Slices
//   leave their sums in scratch memory; whichever warp of a set comes last adds them, in the order
//   of slices. How n and k are cut does not depend on the number of tokens.
#pragma once

#include <algorithm>

#include "kernels/cuda/context.cuh"
#include "kernels/cuda/tile.cuh"

namespace llmpq::cuda {

/// Warps of a block, at most. Two blocks share an SM's registers, but for the most tokens; six
/// warps where eight would have too few registers.
LLMPQ_HOST_DEVICE constexpr int few_rows_warps(int token_tiles) { return token_tiles == 4 ? 6 : 8; }

/// Outputs of a warp: more of them use an x that is loaded once.
LLMPQ_HOST_DEVICE constexpr int tiles_per_warp(Format format) {
  return format == Format::kBf16 || format == Format::kF16 ? 1 : 2;
}
LLMPQ_HOST_DEVICE constexpr int stages_of(Format format) {
  return format == Format::kW8 ? 2 : format == Format::kW3 ? 4 : 3;
}
template <Format kFormat>
constexpr int ring_bytes() {
  return stages_of(kFormat) * tiles_per_warp(kFormat) * LaneTile<kFormat>::kBytes;
}

struct FewRowsTask {
  const std::byte* weights;
  const uint4* x;  ///< as round_to_fragments leaves it
  int64_t n, row_halves;
  int groups, tiles, sets, slices;
  int tokens, token_tiles;
  float4* partials;    ///< [slices, tiles, token_tiles, lane]: the lane's sums, if slices > 1
  unsigned* counters;  ///< [sets], how many slices are done; zero at the beginning
  const float* bias;
  float* y;
  int64_t y_stride;
};

/// 16 bytes of weights to shared memory, or zeros; they are there after wait_for_stage.
__device__ inline void copy_16(std::byte* shared, const std::byte* global, bool wanted) {
#if __CUDA_ARCH__ >= 800
  const auto to = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(global),
               "r"(wanted ? 16 : 0)
               : "memory");
#else
  *reinterpret_cast<uint4*>(shared) =
      wanted ? __ldg(reinterpret_cast<const uint4*>(global)) : uint4{0, 0, 0, 0};
#endif
}
__device__ inline void end_stage() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Waits until all but the `kLater` newest stages are there, for the whole warp.
template <int kLater>
__device__ inline void wait_for_stage() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kLater) : "memory");
#endif
  __syncwarp();
}
/// Until here only weights are read: the kernel may have started before the one that rounds x
/// ended.
__device__ inline void wait_for_inputs() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// sums += A B, m16n8k16. Turing does it in two halves of k.
template <typename T>
__device__ inline void multiply(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0,
                                uint32_t b1) {
#if __CUDA_ARCH__ >= 800
  if constexpr (HalfType<T>::kMantissa == 7)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#elif __CUDA_ARCH__ >= 750
  const uint32_t b[2] = {b0, b1};
#pragma unroll
  for (int half = 0; half < 2; ++half)
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
#endif
}

/// A lane's view of the tile row that it copies to shared memory.
template <Format kFormat>
struct TileRow {
  const std::byte* begin;  ///< integers: the tile row; 16 bit: the matrix
  int first_output;

  __device__ static TileRow of(const FewRowsTask& task, int tile) {
    if constexpr (!LaneTile<kFormat>::kInteger) return {task.weights, tile * kTileOutputs};
    return {task.weights + static_cast<int64_t>(tile) * task.groups * LaneTile<kFormat>::kBytes, 0};
  }

  __device__ void copy(const FewRowsTask& task, int group, int lane, std::byte* to) const {
    constexpr int kBytes = LaneTile<kFormat>::kBytes;
    if constexpr (LaneTile<kFormat>::kInteger) {
      const std::byte* from = begin + static_cast<int64_t>(group) * kBytes;
#pragma unroll
      for (int at = 0; at < kBytes; at += 512)
        if (at + 512 <= kBytes || at + 16 * lane < kBytes)
          copy_16(to + at + 16 * lane, from + at + 16 * lane, true);
    } else {
#pragma unroll
      for (int i = 0; i < 8; ++i) {  // rows past n are read as the last one and not stored
        const int64_t row = min(first_output + i % 2 * int64_t{8} + lane / 4, task.n - 1);
        const int64_t input = static_cast<int64_t>(group) * kGroup + i / 2 * 32 + lane % 4 * 8;
        const bool inside = input < task.row_halves;
        copy_16(to + 512 * i + 16 * lane,
                begin + 2 * (row * task.row_halves + (inside ? input : 0)), inside);
      }
    }
  }
};

/// Tiles of tokens that are multiplied at a time. More would need more registers than there are:
/// the weights are dequantized again for the rest, which the tensor cores hide.
template <int kTokenTiles>
inline constexpr int kPart = kTokenTiles < 4 ? kTokenTiles : 4;

/// One group of a set and a part of the tokens: `stage` has the set's tiles, `x` is the lane's
/// place in the group's part of x.
template <Format kFormat, typename T, int kTokenTiles>
__device__ inline void add_group(const std::byte* stage, const uint4* x, int tokens, int lane,
                                 float (&sums)[tiles_per_warp(kFormat)][kTokenTiles][4]) {
  constexpr int kTiles = tiles_per_warp(kFormat), kBytes = LaneTile<kFormat>::kBytes;
  LaneTile<kFormat> tile[kTiles];
#pragma unroll
  for (int r = 0; r < kTiles; ++r) tile[r].load(stage + r * kBytes, lane);
  float group[kTiles][kTokenTiles][4] = {};
#pragma unroll
  for (int span = 0; span < kSpans; ++span) {
    uint4 b[kTokenTiles];
#pragma unroll
    for (int j = 0; j < kTokenTiles; ++j)
      b[j] = 32 * j + lane < 4 * tokens ? x[128 * j + 32 * span] : uint4{0, 0, 0, 0};
#pragma unroll
    for (int step = 0; step < 2; ++step) {
#pragma unroll
      for (int r = 0; r < kTiles; ++r) {
        uint32_t a[4];
#pragma unroll
        for (int reg = 0; reg < 4; ++reg) a[reg] = tile[r].template pair<T>(span, step, reg);
#pragma unroll
        for (int j = 0; j < kTokenTiles; ++j)
          multiply<T>(group[r][j], a, step == 0 ? b[j].x : b[j].z, step == 0 ? b[j].y : b[j].w);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kTiles; ++r) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float scale = LaneTile<kFormat>::scale(stage + r * kBytes, lane, i / 2);
#pragma unroll
      for (int j = 0; j < kTokenTiles; ++j)
        sums[r][j][i] = fmaf(group[r][j][i], scale, sums[r][j][i]);
    }
  }
}

/// Where a lane leaves its sums of a tile of outputs and a tile of tokens.
__device__ inline float4* partial_at(const FewRowsTask& task, int slice, int tile, int j,
                                     int lane) {
  const int64_t row = static_cast<int64_t>(slice) * task.tiles + tile;
  return task.partials + (row * task.token_tiles + j) * 32 + lane;
}

/// True for the warp of a set that comes here last: then the partial sums of all are there.
__device__ inline bool is_last_slice(const FewRowsTask& task, int set, int lane) {
  __threadfence();
  __syncwarp();
  unsigned before = 0;
  if (lane == 0) before = atomicAdd(task.counters + set, 1u);
  before = __shfl_sync(0xffffffffu, before, 0);
  __threadfence();
  return before + 1 == static_cast<unsigned>(task.slices);
}

/// The sums of all slices, in their order.
__device__ inline void add_slices(const FewRowsTask& task, int tile, int j, int lane,
                                  float (&sums)[4]) {
  const int64_t stride = static_cast<int64_t>(task.tiles) * task.token_tiles * 32;
  const float4* at = partial_at(task, 0, tile, j, lane);
  sums[0] = sums[1] = sums[2] = sums[3] = 0.0f;
#pragma unroll 4
  for (int slice = 0; slice < task.slices; ++slice, at += stride) {
    const float4 part = __ldcg(at);
    sums[0] += part.x, sums[1] += part.y, sums[2] += part.z, sums[3] += part.w;
  }
}

/// The lane's four results of a tile of outputs and a tile of tokens.
__device__ inline void store_outputs(const FewRowsTask& task, int tile, int j, int lane,
                                     const float (&sums)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int64_t output = static_cast<int64_t>(tile) * kTileOutputs + lane / 4 + i / 2 * 8;
    const int token = 8 * j + lane % 4 * 2 + i % 2;
    if (output < task.n && token < task.tokens)
      task.y[token * task.y_stride + output] =
          task.bias != nullptr ? sums[i] + task.bias[output] : sums[i];
  }
}

template <Format kFormat, typename T, int kTokenTiles>
__global__ void __launch_bounds__(32 * few_rows_warps(kTokenTiles), kTokenTiles <= 4 ? 2 : 1)
    few_rows_kernel(const FewRowsTask task) {
  constexpr int kTiles = tiles_per_warp(kFormat), kStages = stages_of(kFormat);
  constexpr int kPartTiles = kPart<kTokenTiles>;
  constexpr int kBytes = LaneTile<kFormat>::kBytes, kStageBytes = kTiles * kBytes;
  extern __shared__ uint4 shared[];
  const int warp = static_cast<int>(threadIdx.x / 32), lane = static_cast<int>(threadIdx.x % 32);
  const int set = static_cast<int>(blockIdx.x * (blockDim.x / 32)) + warp;
  const int slice = static_cast<int>(blockIdx.y);
  if (set >= task.sets) return;
  std::byte* const ring = reinterpret_cast<std::byte*>(shared) + warp * kStages * kStageBytes;
  const int begin = static_cast<int>(static_cast<int64_t>(task.groups) * slice / task.slices);
  const int end = static_cast<int>(static_cast<int64_t>(task.groups) * (slice + 1) / task.slices);

  TileRow<kFormat> rows[kTiles];
#pragma unroll
  for (int r = 0; r < kTiles; ++r)  // a tile past the last one is read as that and not stored
    rows[r] = TileRow<kFormat>::of(task, min(set * kTiles + r, task.tiles - 1));
  const auto copy_group = [&](int group, int stage) {
    if (group < end)
#pragma unroll
      for (int r = 0; r < kTiles; ++r)
        rows[r].copy(task, group, lane, ring + stage * kStageBytes + r * kBytes);
    end_stage();
  };

#pragma unroll
  for (int stage = 0; stage < kStages - 1; ++stage) copy_group(begin + stage, stage);
  wait_for_inputs();
  float sums[kTokenTiles / kPartTiles][kTiles][kPartTiles][4] = {};
  const uint4* x = task.x + static_cast<int64_t>(begin) * task.token_tiles * 128 + lane;
  int stage = 0;
#pragma unroll 1
  for (int group = begin; group < end; ++group, x += task.token_tiles * 128) {
    wait_for_stage<kStages - 2>();
    // After the wait all lanes are done with the stage before this one.
    copy_group(group + kStages - 1, stage == 0 ? kStages - 1 : stage - 1);
#pragma unroll
    for (int part = 0; part < kTokenTiles / kPartTiles; ++part) {
      add_group<kFormat, T, kPartTiles>(ring + stage * kStageBytes, x + part * kPartTiles * 128,
                                        task.tokens - part * kPartTiles * 8, lane, sums[part]);
      asm volatile("" ::: "memory");  // the parts share no registers
    }
    stage = stage + 1 == kStages ? 0 : stage + 1;
  }

  // `visit` sees the sums of each tile of outputs and of tokens in which the lane has any.
  const auto for_each = [&](const auto& visit) {
#pragma unroll
    for (int r = 0; r < kTiles; ++r)
#pragma unroll
      for (int j = 0; j < kTokenTiles; ++j)
        if (set * kTiles + r < task.tiles && 8 * j + lane % 4 * 2 < task.tokens)
          visit(set * kTiles + r, j, sums[j / kPartTiles][r][j % kPartTiles]);
  };
  if (task.slices > 1) {
    for_each([&](int tile, int j, const float(&part)[4]) {
      __stcg(partial_at(task, slice, tile, j, lane), float4{part[0], part[1], part[2], part[3]});
    });
    if (!is_last_slice(task, set, lane)) return;
    for_each([&](int tile, int j, float(&part)[4]) { add_slices(task, tile, j, lane, part); });
  }
  for_each(
      [&](int tile, int j, const float(&part)[4]) { store_outputs(task, tile, j, lane, part); });
}

/// The architecture whose code runs, 90 for sm_90: a GPU may run the code of an older one.
inline int code_version(const void* kernel) {
  cudaFuncAttributes attributes;
  CHECK_CUDA(cudaFuncGetAttributes(&attributes, kernel));
  return attributes.ptxVersion;
}

/// Launched so that it may begin while the kernel before it, the rounding of x, still runs.
template <Format kFormat, typename T, int kTokenTiles>
void launch_few_rows(StreamContext& context, const FewRowsTask& task) {
  const auto kernel = few_rows_kernel<kFormat, T, kTokenTiles>;
  constexpr int kRing = ring_bytes<kFormat>();
  const int device = context.session->options.device;
  int most_shared = 0;
  CHECK_CUDA(cudaDeviceGetAttribute(&most_shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  // Small matrices: rather fewer warps a block than idle SMs.
  const int64_t per_sm =
      divide_up(static_cast<int64_t>(task.sets) * task.slices, context.session->sms);
  const int warps = static_cast<int>(std::max<int64_t>(
      1, std::min<int64_t>({few_rows_warps(kTokenTiles), most_shared / kRing, per_sm})));
  CHECK_CUDA(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, warps * kRing));
  cudaLaunchConfig_t config{};
  config.gridDim =
      dim3(static_cast<unsigned>(divide_up(task.sets, warps)), static_cast<unsigned>(task.slices));
  config.blockDim = dim3(static_cast<unsigned>(32 * warps));
  config.dynamicSmemBytes = static_cast<size_t>(warps) * kRing;
  config.stream = context.stream;
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &early;
  // Only code that waits for its inputs; older toolkits cannot record such launches.
  const bool waits = code_version(reinterpret_cast<const void*>(kernel)) >= 90;
  config.numAttrs = waits && CUDART_VERSION >= 12030 ? 1 : 0;
  CHECK_CUDA(cudaLaunchKernelEx(&config, kernel, task));
}

template <typename T, int kTokenTiles>
void launch_few_rows(StreamContext& context, Format format, const FewRowsTask& task) {
  switch (format) {
    case Format::kW8:
      return launch_few_rows<Format::kW8, T, kTokenTiles>(context, task);
    case Format::kW4:
      return launch_few_rows<Format::kW4, T, kTokenTiles>(context, task);
    case Format::kW3:
      return launch_few_rows<Format::kW3, T, kTokenTiles>(context, task);
    case Format::kBf16:
    case Format::kF16:
      return launch_few_rows<HalfType<T>::kFormat, T, kTokenTiles>(context, task);
  }
}

/// The kernel for that many tokens. Instantiated in matmul_few_rows_bf16.cu and ..._f16.cu.
template <typename T>
void launch_few_rows(StreamContext& context, Format format, const FewRowsTask& task) {
  if (task.token_tiles <= 1) return launch_few_rows<T, 1>(context, format, task);
  if (task.token_tiles <= 2) return launch_few_rows<T, 2>(context, format, task);
  if (task.token_tiles <= 4) return launch_few_rows<T, 4>(context, format, task);
  launch_few_rows<T, 8>(context, format, task);
}

}  // namespace llmpq::cuda
