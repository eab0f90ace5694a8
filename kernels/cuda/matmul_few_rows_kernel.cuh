// The kernel behind matmul_few_rows.cuh, included by the files that instantiate it. Weights are the
// A operand of mma (16 outputs), rows of x are B (tiles of 8 tokens): y^T = W x^T. What a block
// does is drawn in matmul_few_rows_cut.hpp: its warps go through the same units, each with outputs
// of its own.
//
//   weights: memory -> the warp's ring in shared memory -> registers, where they become halves
//   x:       rounded before -> L2 -> shared memory, for all warps, a chunk of groups at a time
//
// A group is multiplied as exact integers into f32 sums of its own, which then are added to the
// row's with the scale. All sums are in units of kUnit, a power of two, until they are stored,
// which changes no bit of results above 2^-110.
#pragma once

#include "kernels/cuda/matmul_few_rows_ring.cuh"
#include "kernels/cuda/shared_memory.cuh"

namespace llmpq::cuda {

/// An entry of a chunk of x. Where there is no such token or input it reads another: without
/// branches, several loads are under way at a time.
struct Fragment {
  uint4 value;
  bool wanted;

  /// Entry `at` of the chunk in shared memory, [group][tile of 8 tokens][span][lane], which is
  /// mma's B operand: lane 4 g + t has inputs 8 t + 0..7 of a span of the tile's token g. So a warp
  /// reads 64 bytes of each of eight rows.
  template <typename Shape>
  __device__ void load(const FewRowsTask& task, int first_group, int at) {
    const int token_tile =
        static_cast<int>(blockIdx.x) * Shape::kTokenTiles + at / 128 % Shape::kTokenTiles;
    int group = first_group + at / (128 * Shape::kTokenTiles);
    if (group >= task.groups) group -= task.groups;
    const int token = 8 * token_tile + at / 4 % 8;
    const int eight = 16 * group + at / 32 % kSpans * 4 + at % 4;
    wanted = token < task.tokens && eight < task.x_eights;
    value = __ldcg(task.x + (wanted ? static_cast<int64_t>(token) * task.x_eights + eight : 0));
  }
  __device__ uint4 get() const {
    return {wanted ? value.x : 0, wanted ? value.y : 0, wanted ? value.z : 0, wanted ? value.w : 0};
  }
};

/// The block puts `groups` groups of x into shared memory, zeros for tokens that there are not.
template <typename Shape>
__device__ inline void load_inputs(const FewRowsTask& task, int first_group, int groups,
                                   uint4* to) {
  constexpr int kBatch = 8;
  const int count = groups * Shape::kTokenTiles * 128, threads = static_cast<int>(blockDim.x);
#pragma unroll 1
  for (int begin = static_cast<int>(threadIdx.x); begin < count; begin += kBatch * threads) {
    Fragment inputs[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i)
      inputs[i].template load<Shape>(task, first_group, min(begin + i * threads, count - 1));
    all_loads_begin();
#pragma unroll
    for (int i = 0; i < kBatch; ++i)
      if (begin + i * threads < count) to[begin + i * threads] = inputs[i].get();
  }
}

/// One unit: a group of the warp's tiles, and x at the lane's place.
template <Format kFormat, typename T, typename Shape>
__device__ inline void add_group(WeightRing<kFormat, Shape::kTiles, Shape::kStages>& ring,
                                 const uint4* x, int lane,
                                 float (&sums)[Shape::kTiles][Shape::kTokenTiles][4]) {
  constexpr int kTiles = Shape::kTiles, kTokenTiles = Shape::kTokenTiles;
  constexpr bool kEarly = kTokenTiles < 4;  // the registers suffice for whole tiles
  const std::byte* const stage = ring.wait();
  LaneTile<kFormat> tile[kTiles];
  float scale[kTiles][2];
#pragma unroll
  for (int r = 0; r < kTiles; ++r) {
    const std::byte* const from = stage + r * LaneTile<kFormat>::kBytes;
    tile[r].load(from, lane);
    scale[r][0] = LaneTile<kFormat>::scale(from, lane, 0);
    scale[r][1] = LaneTile<kFormat>::scale(from, lane, 1);
  }
  if constexpr (kEarly) ring.refill();
  float group[kTiles][kTokenTiles][4] = {};
#pragma unroll
  for (int span = 0; span < kSpans; ++span) {
    uint4 b[kTokenTiles];
#pragma unroll
    for (int j = 0; j < kTokenTiles; ++j) b[j] = x[128 * j + 32 * span];
#pragma unroll
    for (int step = 0; step < 2; ++step) {
#pragma unroll
      for (int r = 0; r < kTiles; ++r) {
        const auto pair = [&](int reg) {
          return tile[r].template pair<T, kEarly>(span, step, reg);
        };
        const uint4 a = {pair(0), pair(1), pair(2), pair(3)};
#pragma unroll
        for (int j = 0; j < kTokenTiles; ++j)
          multiply<T>(group[r][j], a, step == 0 ? b[j].x : b[j].z, step == 0 ? b[j].y : b[j].w);
      }
    }
  }
  if constexpr (!kEarly) ring.refill();
#pragma unroll
  for (int r = 0; r < kTiles; ++r)
#pragma unroll
    for (int j = 0; j < kTokenTiles; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        sums[r][j][i] = fmaf(group[r][j][i], scale[r][i / 2], sums[r][j][i]);
}

/// Who works: a warp of the block, and one of its lanes.
struct Worker {
  int warp, lane;
};

/// Where the lane's sums of a warp's first tile are left: by the range that has the piece which
/// begins at unit `begin`.
template <int kTiles, int kTokenTiles>
__device__ inline float4* partial_at(const FewRowsTask& task, int range, int begin,
                                     const Worker& worker) {
  const int64_t slot =
      static_cast<int64_t>(blockIdx.x) * 2 * task.ranges + task.piece_slot(range, begin);
  const int64_t warp = slot * (blockDim.x / 32) + worker.warp;
  return task.partials + warp * kTiles * kTokenTiles * 32 + worker.lane;
}

/// The lane's results of a tile of outputs: two of each, for tokens 2 t and 2 t + 1 of each tile of
/// tokens. A sum of 1 is `one`.
template <int kTokenTiles>
__device__ inline void store_outputs(const FewRowsTask& task, int tile, int lane, float one,
                                     const float (&sums)[kTokenTiles][4]) {
  const int64_t output = static_cast<int64_t>(tile) * kTileOutputs + lane / 4;
  float bias[2] = {0.0f, 0.0f};
  if (task.bias != nullptr) {
    bias[0] = task.bias[min(output, task.n - 1)];
    bias[1] = task.bias[min(output + 8, task.n - 1)];
  }
#pragma unroll
  for (int j = 0; j < kTokenTiles; ++j)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int token = 8 * (static_cast<int>(blockIdx.x) * kTokenTiles + j) + lane % 4 * 2 + i % 2;
      if (output + i / 2 * 8 < task.n && token < task.tokens)
        task.y[token * task.y_stride + output + i / 2 * 8] = sums[j][i] * one + bias[i / 2];
    }
}

__device__ inline void add_part(float (&sums)[4], const float4& part, bool is_first) {
  sums[0] = is_first ? part.x : sums[0] + part.x;
  sums[1] = is_first ? part.y : sums[1] + part.y;
  sums[2] = is_first ? part.z : sums[2] + part.z;
  sums[3] = is_first ? part.w : sums[3] + part.w;
}

/// The sums of a set's pieces, which ranges [first, last] have left, in their order.
template <int kTiles, int kTokenTiles>
__device__ inline void add_pieces(const FewRowsTask& task, const Worker& worker, int set, int first,
                                  int last, float (&sums)[kTiles][kTokenTiles][4]) {
  constexpr int kSums = kTiles * kTokenTiles, kBatch = kSums <= 2 ? 8 : kSums <= 4 ? 4 : 1;
#pragma unroll 1
  for (int batch = first; batch <= last; batch += kBatch) {
    float4 parts[kBatch][kSums];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int range = min(batch + i, last);
      const int begin = max(task.range_begin(range), set * task.groups);
      const float4* const from = partial_at<kTiles, kTokenTiles>(task, range, begin, worker);
#pragma unroll
      for (int sum = 0; sum < kSums; ++sum) parts[i][sum] = __ldcg(from + 32 * sum);
    }
    all_loads_begin();
#pragma unroll
    for (int i = 0; i < kBatch; ++i)
#pragma unroll
      for (int sum = 0; sum < kSums; ++sum)
        if (batch + i <= last)
          add_part(sums[sum / kTokenTiles][sum % kTokenTiles], parts[i][sum], batch + i == first);
  }
}

/// The warp's results of a set.
template <typename T, int kTiles, int kTokenTiles>
__device__ inline void store_set(const FewRowsTask& task, const Worker& worker, int set,
                                 const float (&sums)[kTiles][kTokenTiles][4]) {
  const int first_tile = (set * static_cast<int>(blockDim.x / 32) + worker.warp) * kTiles;
#pragma unroll
  for (int r = 0; r < kTiles; ++r)
    store_outputs(task, first_tile + r, worker.lane, 1.0f / kUnit<T>, sums[r]);
}

/// Leaves the sums of a piece that is not its whole set, and begins at unit `begin`. Nothing waits
/// for them before the range is done.
template <int kTiles, int kTokenTiles>
__device__ inline void leave_piece(const FewRowsTask& task, const Worker& worker, int begin,
                                   const float (&sums)[kTiles][kTokenTiles][4]) {
  float4* const to =
      partial_at<kTiles, kTokenTiles>(task, static_cast<int>(blockIdx.y), begin, worker);
#pragma unroll
  for (int r = 0; r < kTiles; ++r)
#pragma unroll
    for (int j = 0; j < kTokenTiles; ++j)
      __stcg(to + (r * kTokenTiles + j) * 32,
             float4{sums[r][j][0], sums[r][j][1], sums[r][j][2], sums[r][j][3]});
}

/// At the end of a range: of the sets that it shares with others, its first and its last one, the
/// warp that comes last to a set finds the sums of all pieces there and adds them. Lane 0 counts
/// for the first set, lane 1 for the last one if that is another.
template <typename T, int kTiles, int kTokenTiles>
__device__ inline void join_pieces(const FewRowsTask& task, const Worker& worker, int last_set) {
  const int first_set = task.range_begin(static_cast<int>(blockIdx.y)) / task.groups;
  const int set = worker.lane == 0 ? first_set : last_set;
  const int first = task.range_of(set * task.groups);
  const int last = task.range_of((set + 1) * task.groups - 1);
  bool is_last = false;
  __syncwarp();  // the other lanes' sums are released and acquired along with this one's
  if (first != last && (worker.lane == 0 || (worker.lane == 1 && last_set != first_set))) {
    const int64_t place = static_cast<int64_t>(blockIdx.x) * task.sets + set;
    unsigned* const counter = task.counters + place * (blockDim.x / 32) + worker.warp;
    const auto others = static_cast<unsigned>(last - first);
    is_last = count_up_to(counter, others) == others;  // and the counter is zero again
  }
  const unsigned complete = __ballot_sync(0xffffffffu, is_last);
#pragma unroll 1
  for (int i = 0; i < 2; ++i) {
    const int from = __shfl_sync(0xffffffffu, first, i), to = __shfl_sync(0xffffffffu, last, i);
    if ((complete >> i & 1) == 0) continue;
    float sums[kTiles][kTokenTiles][4];
    add_pieces(task, worker, i == 0 ? first_set : last_set, from, to, sums);
    store_set<T>(task, worker, i == 0 ? first_set : last_set, sums);
  }
}

/// Blocks that share an SM's registers. Turing's shared memory has room for one.
template <typename Shape>
constexpr int resident_blocks() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  return 1;
#else
  return Shape::kBlocksPerSm;
#endif
}

template <Format kFormat, typename T, typename Shape>
__global__ void __launch_bounds__(32 * Shape::kWarps, resident_blocks<Shape>())
    few_rows_kernel(const LLMPQ_GRID_CONSTANT FewRowsTask task) {
  constexpr int kTiles = Shape::kTiles, kTokenTiles = Shape::kTokenTiles;
  using Ring = WeightRing<kFormat, kTiles, Shape::kStages>;
  // A chunk of x, then the warps' rings.
  auto* const inputs = reinterpret_cast<uint4*>(dynamic_shared());
  const int warp = static_cast<int>(threadIdx.x / 32), lane = static_cast<int>(threadIdx.x % 32);
  const Worker worker{warp, lane};
  const int begin = task.range_begin(static_cast<int>(blockIdx.y));
  const int end = task.range_begin(static_cast<int>(blockIdx.y) + 1);
  auto* const rings = reinterpret_cast<std::byte*>(inputs + task.chunk * kTokenTiles * 128);
  Ring ring(task, begin, end, rings + warp * Ring::kBytes, warp * kTiles);
  if (task.ahead > Shape::kStages)
    ask_ahead<kFormat, kTiles>(task, begin + Shape::kStages, min(begin + task.ahead, end),
                               warp * kTiles);
  // Until here only weights are read, which nothing before it in the stream may still be writing
  // (pack.cu).
  begin_kernel();

  float sums[kTiles][kTokenTiles][4] = {};
  int set = begin / task.groups, piece_begin = begin, chunk_end = begin;
  const uint4* x = nullptr;
  for (int unit = begin; unit < end;) {
    if (unit == chunk_end) {
      if (unit != begin) __syncthreads();
      chunk_end = min(unit + task.chunk, end);
      load_inputs<Shape>(task, unit - set * task.groups, chunk_end - unit, inputs);
      __syncthreads();
      x = inputs + lane;
    }
    const int piece_end = min((set + 1) * task.groups, end), stop = min(piece_end, chunk_end);
#pragma unroll 1
    for (; unit < stop; ++unit, x += kTokenTiles * 128)
      add_group<kFormat, T, Shape>(ring, x, lane, sums);
    if (unit < piece_end) continue;
    if (unit - piece_begin == task.groups)
      store_set<T>(task, worker, set, sums);
    else
      leave_piece(task, worker, piece_begin, sums);
#pragma unroll
    for (int r = 0; r < kTiles; ++r)
#pragma unroll
      for (int j = 0; j < kTokenTiles; ++j)
        sums[r][j][0] = sums[r][j][1] = sums[r][j][2] = sums[r][j][3] = 0.0f;
    piece_begin = unit;
    ++set;
  }
  join_pieces<T, kTiles, kTokenTiles>(task, worker, set - 1);
}

}  // namespace llmpq::cuda
