// Attention of ranges with one row, on tensor cores: the keys are read once, as fast as memory
// gives them. A block takes a piece of kSplitTokens keys, counted from position 0, for the heads of
// one kv head (up to 16: the rows of a product); each of its warps walks over tiles of its own with
// the next ones on their way to shared memory. A second kernel adds up the pieces of long contexts.
#include <algorithm>

#include "kernels/cuda/attention_integers.cuh"
#include "kernels/cuda/attention_softmax.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/rounding.cuh"
#include "kernels/cuda/scratch.hpp"
#include "kernels/cuda/shared_memory.cuh"

namespace llmpq::cuda {
namespace {

constexpr int kSplit = static_cast<int>(kSplitTokens);
constexpr int kHeads = 16;  ///< heads of one block: rows of a product

/// Results of pieces that are not alone: [singles, heads, splits] and for acc [.., head_dim].
struct Partials {
  float *acc, *sum, *largest;
  int splits;
};

/// How a block shares its piece: bytes on their way decide the speed, 64 KiB a block at most.
template <typename T, int kDim>
struct Shape {
  static constexpr bool kIntegers = sizeof(T) == 1;
  static constexpr int kRowBytes = kDim * static_cast<int>(sizeof(T));
  static constexpr int kWarps = kRowBytes > 256 ? 2 : 4;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kKeys = kRowBytes > 128 ? 16 : 32;   ///< of a tile
  static constexpr int kTiles = kSplit / (kWarps * kKeys);  ///< of a warp
  static constexpr int kTensorBytes =
      kKeys * (kIntegers ? ByteRows<kDim>::kStride : 2 * HalfRows<kDim>::kStride);
  static constexpr int kStages = std::min(kTiles, std::max(2, 18 * 1024 / (2 * kTensorBytes)));
};

/// A tile of a warp in shared memory.
template <typename T, int kDim>
struct Tile {
  alignas(16) int8_t k[Shape<T, kDim>::kTensorBytes];
  int8_t v[Shape<T, kDim>::kTensorBytes];
  float k_scale[Shape<T, kDim>::kIntegers ? Shape<T, kDim>::kKeys : 4];
  float v_scale[Shape<T, kDim>::kIntegers ? Shape<T, kDim>::kKeys : 4];
};

/// First the tiles of all warps, then, when they are done, their results.
template <typename T, int kDim>
union Room {
  Tile<T, kDim> tiles[Shape<T, kDim>::kWarps][Shape<T, kDim>::kStages];
  struct {
    float acc[Shape<T, kDim>::kWarps][kHeads][kDim + 8];  // + 8: rows in different banks
    float sum[Shape<T, kDim>::kWarps][kHeads];
    float largest[Shape<T, kDim>::kWarps][kHeads];
  } results;
};

/// What a block does: heads [first_head, first_head + heads) of a row over keys [begin, end).
struct Piece {
  RowRange range;
  int kv_head, first_head, heads;
  int begin, end;
  bool alone;  ///< the row sees no other piece
};

/// The range of single row `wanted`.
__device__ RowRange find_single(const AttentionLaunch& args, int wanted) {
  if (args.singles == args.ranges) return args.list[wanted];
  const auto is_single = [](const RowRange& range) { return range.rows == 1 ? 1 : 0; };
  return find_item(args.list, args.ranges, wanted, is_single).range;
}

/// False if there is nothing to do: the grid is as large as the longest context may need.
__device__ bool find_piece(const AttentionLaunch& args, Piece& piece) {
  piece.range = find_single(args, static_cast<int>(blockIdx.x));
  if (piece.range.rows != 1) return false;
  const int head_tiles = (args.group + kHeads - 1) / kHeads;
  const int within = static_cast<int>(blockIdx.y) % head_tiles * kHeads;
  piece.kv_head = static_cast<int>(blockIdx.y) / head_tiles;
  piece.first_head = piece.kv_head * args.group + within;
  piece.heads = min(kHeads, args.group - within);

  const int position = piece.range.position, first = first_key(args, position);
  const int split = first / kSplit + static_cast<int>(blockIdx.z);
  piece.begin = max(first, split * kSplit);
  piece.end = min(position + 1, (split + 1) * kSplit);
  piece.alone = first / kSplit == position / kSplit;
  return piece.begin < piece.end;
}

/// Position of the first key of one of the warp's tiles.
template <typename T, int kDim>
__device__ int tile_key(const Piece& piece, int tile) {
  using S = Shape<T, kDim>;
  const int warp = static_cast<int>(threadIdx.x / 32);
  return piece.begin / kSplit * kSplit + (tile * S::kWarps + warp) * S::kKeys;
}

/// Where the lane's key of a tile lies in the cache, in tokens; nowhere if it is not of the piece.
[[maybe_unused]] __device__ uint32_t find_slot(const AttentionLaunch& args, const Piece& piece,
                                               int key) {
  if (key < piece.begin || key >= piece.end) return kNoSlot;
  return cache_slot(args, piece.range.table, piece.kv_head, key);
}

/// A warp starts the copies of a tile: lanes from `first` on know the slots of its keys. Keys that
/// are not of the piece become zeros, so that nothing there can reach the sums.
template <typename T, int kDim>
__device__ void fetch_tile(const AttentionLaunch& args, uint32_t slot, int first,
                           Tile<T, kDim>& tile) {
  using S = Shape<T, kDim>;
  constexpr int kChunks = S::kRowBytes / 16;
  static_assert(S::kKeys * kChunks % 32 == 0);
  const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
  for (int i = 0; i < S::kKeys * kChunks / 32; ++i) {
    const int row = (32 * i + lane) / kChunks, chunk = (32 * i + lane) % kChunks;
    const uint32_t at = __shfl_sync(kAllLanes, slot, first + row);
    const bool valid = at != kNoSlot;
    const int64_t from = valid ? int64_t{at} * S::kRowBytes + 16 * chunk : 0;
    const int to = S::kIntegers ? row * ByteRows<kDim>::kStride + 16 * chunk
                                : 2 * HalfRows<kDim>::at(row, chunk);
    copy_16_bytes(tile.k + to, static_cast<const std::byte*>(args.k) + from, valid);
    copy_16_bytes(tile.v + to, static_cast<const std::byte*>(args.v) + from, valid);
  }
  if constexpr (S::kIntegers) {
    const bool valid = slot != kNoSlot;
    const int key = lane - first;
    if (key >= 0 && key < S::kKeys) {
      copy_4_bytes(&tile.k_scale[key], args.k_scale + (valid ? slot : 0), valid);
      copy_4_bytes(&tile.v_scale[key], args.v_scale + (valid ? slot : 0), valid);
    }
  }
}

/// A tile that has arrived, for all heads of the block.
template <typename T, int kDim>
__device__ void add_tile(const Tile<T, kDim>& tile, const uint4 (&q)[kDim / 16],
                         const RowView (&views)[2], int key, bool alibi, RowSoftmax& rows,
                         float (&acc)[kDim / 8][4]) {
  using S = Shape<T, kDim>;
  using Scores = typename Products<T>::Scores;
  using Values = typename Products<T>::Values;
  float s[S::kKeys / 8][4] = {};
  if constexpr (S::kIntegers) {
    multiply_integer_keys<Scores, kDim, S::kKeys>(q, tile.k, s);
    weigh_scores(s, views, key, tile.k_scale, alibi, true);
    soften<Values>(s, rows, acc);
    const int t = static_cast<int>(threadIdx.x % 4);
#pragma unroll
    for (int n = 0; n < S::kKeys / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) s[n][e] *= tile.v_scale[8 * n + 2 * t + e % 2];
    }
    multiply_integer_values<Values, kDim, S::kKeys>(s, tile.v, acc);
  } else {
    const auto query = [&](int step) { return q[step]; };
    multiply_keys<Scores, kDim, S::kKeys>(query, reinterpret_cast<const uint16_t*>(tile.k), s);
    weigh_scores(s, views, key, nullptr, alibi, true);
    soften<Values>(s, rows, acc);
    multiply_values<Values, kDim, S::kKeys>(s, reinterpret_cast<const uint16_t*>(tile.v), acc);
  }
}

/// The lane's two heads: where their q is (nullptr past the block's heads) and how they see keys.
__device__ void make_views(const AttentionLaunch& args, const Piece& piece, const float* (&q)[2],
                           RowView (&views)[2]) {
  const float* row = args.q + int64_t{piece.range.begin} * args.q_stride;
  for (int i = 0; i < 2; ++i) {
    const int mine = static_cast<int>(threadIdx.x % 32 / 4) + 8 * i;
    const int head = piece.first_head + min(mine, piece.heads - 1);
    q[i] = mine < piece.heads ? row + int64_t{head} * args.head_dim : nullptr;
    const float slope = args.slopes == nullptr ? 0.0f : args.slopes[head] * kLog2E;
    views[i] = {args.scale * kLog2E, slope, piece.range.position, piece.begin, piece.end - 1};
  }
}

/// A warp leaves its results to the block.
template <typename T, int kDim>
__device__ void leave_results(Room<T, kDim>& room, const Piece& piece, const RowSoftmax& rows,
                              const float (&acc)[kDim / 8][4]) {
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  for (int i = 0; i < 2; ++i) {
    const int head = lane / 4 + 8 * i;
    if (head >= piece.heads) continue;
    if (lane % 4 == 0) {
      room.results.sum[warp][head] = rows.sum[i];
      room.results.largest[warp][head] = rows.largest[i];
    }
    float* to = room.results.acc[warp][head];
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int column = 2 * (lane % 4) + e;
        to[Shape<T, kDim>::kIntegers ? integer_element<kDim>(n, column) : 8 * n + column] =
            acc[n][2 * i + e];
      }
    }
  }
}

/// Adds up the warps' results and stores them: the row's output, or the piece's part of it.
template <typename T, int kDim>
__device__ void store_results(const AttentionLaunch& args, const Piece& piece,
                              const Room<T, kDim>& room, const Partials& partials) {
  using S = Shape<T, kDim>;
  const auto& results = room.results;
  for (int i = static_cast<int>(threadIdx.x); i < piece.heads * kDim; i += S::kThreads) {
    const int head = i / kDim, element = i % kDim;
    float largest = -INFINITY, sum = 0.0f, acc = 0.0f;
    for (int w = 0; w < S::kWarps; ++w) largest = fmaxf(largest, results.largest[w][head]);
    for (int w = 0; w < S::kWarps; ++w) {
      const float share = exp2_fast(results.largest[w][head] - finite_base(largest));
      sum = fmaf(share, results.sum[w][head], sum);
      acc = fmaf(share, results.acc[w][head][element], acc);
    }
    const int64_t all_heads = args.heads, of = piece.first_head + head;
    if (piece.alone) {
      store<1>(args.y, args.rounded, (piece.range.begin * all_heads + of) * kDim + element,
               {acc / sum});
      continue;
    }
    const int64_t at = (blockIdx.x * all_heads + of) * partials.splits + blockIdx.z;
    partials.acc[at * kDim + element] = acc;
    if (element != 0) continue;
    partials.sum[at] = sum;
    partials.largest[at] = largest;
  }
}

/// Grid: (single rows, kv heads * tiles of their heads, splits).
template <typename T, int kDim>
__global__ void __launch_bounds__(Shape<T, kDim>::kThreads)
    decode_kernel(const AttentionLaunch args, const Partials partials) {
  begin_kernel();
  if constexpr (has_tensor_cores<T>()) {
    using S = Shape<T, kDim>;
    auto& room = *reinterpret_cast<Room<T, kDim>*>(dynamic_shared());
    Piece piece;
    if (!find_piece(args, piece)) return;
    const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);

    constexpr int kTogether =
        32 / S::kKeys;  // tiles whose slots the lanes of a warp hold at a time
    uint32_t slots[S::kTiles / kTogether];
#pragma unroll
    for (int i = 0; i < S::kTiles / kTogether; ++i) {
      const int tile = i * kTogether + lane / S::kKeys;
      slots[i] = find_slot(args, piece, tile_key<T, kDim>(piece, tile) + lane % S::kKeys);
    }
    const auto fetch = [&](int i) {
      fetch_tile(args, slots[i / kTogether], i % kTogether * S::kKeys,
                 room.tiles[warp][i % S::kStages]);
    };
#pragma unroll
    for (int i = 0; i < S::kStages; ++i) {
      fetch(i);
      close_copies();
    }
    const float* q_rows[2];
    RowView views[2];
    make_views(args, piece, q_rows, views);
    uint4 q[kDim / 16];
    float down[2];
    load_queries<typename Products<T>::Scores, kDim, S::kIntegers>(q_rows, q, down);
    for (int i = 0; i < 2; ++i) views[i].factor *= down[i];

    RowSoftmax rows;
    float acc[kDim / 8][4] = {};
#pragma unroll
    for (int i = 0; i < S::kTiles; ++i) {
      wait_for_copies<S::kStages - 1>();
      __syncwarp();  // the other lanes' copies have arrived too
      const int key = tile_key<T, kDim>(piece, i);
      if (key < piece.end && key + S::kKeys > piece.begin)
        add_tile<T, kDim>(room.tiles[warp][i % S::kStages], q, views, key, args.slopes != nullptr,
                          rows, acc);
      __syncwarp();  // nobody reads the tile any more
      if (i + S::kStages < S::kTiles) fetch(i + S::kStages);
      close_copies();
    }
    rows.add_lanes();
    __syncthreads();  // results take the place of tiles
    leave_results(room, piece, rows, acc);
    __syncthreads();
    store_results(args, piece, room, partials);
  }
}

/// Adds up the pieces of rows that have several. Grid: (single rows, heads).
__global__ void combine_kernel(const AttentionLaunch args, const Partials partials) {
  begin_kernel();
  const RowRange range = find_single(args, static_cast<int>(blockIdx.x));
  if (range.rows != 1) return;
  const int first = first_key(args, range.position) / kSplit;
  const int splits = range.position / kSplit - first + 1;
  if (splits == 1) return;
  const int64_t row_head = int64_t{blockIdx.x} * args.heads + blockIdx.y;
  const float* sums = partials.sum + row_head * partials.splits;
  const float* maxima = partials.largest + row_head * partials.splits;
  const float* parts = partials.acc + row_head * partials.splits * args.head_dim;
  const int64_t first_element = (int64_t{range.begin} * args.heads + blockIdx.y) * args.head_dim;

  float largest = -INFINITY;
#pragma unroll 4
  for (int s = 0; s < splits; ++s) largest = fmaxf(largest, maxima[s]);
  for (int i = static_cast<int>(threadIdx.x); i < args.head_dim;
       i += static_cast<int>(blockDim.x)) {
    float sum = 0.0f, acc = 0.0f;
#pragma unroll 4
    for (int s = 0; s < splits; ++s) {
      const float share = exp2_fast(maxima[s] - finite_base(largest));
      sum = fmaf(share, sums[s], sum);
      acc = fmaf(share, parts[int64_t{s} * args.head_dim + i], acc);
    }
    store<1>(args.y, args.rounded, first_element + i, {acc / sum});
  }
}

Partials take_partials(StreamContext& context, const AttentionLaunch& args, int64_t splits) {
  if (splits == 1) return {nullptr, nullptr, nullptr, 1};
  const int64_t parts = int64_t{args.singles} * args.heads * splits;
  Scratch scratch(context, attention_scratch_bytes(args.singles, args.heads, args.head_dim,
                                                   splits * kSplitTokens));
  float* const acc = scratch.take<float>(parts * (args.head_dim + 2));
  float* const sum = acc + parts * args.head_dim;
  return {acc, sum, sum + parts, static_cast<int>(splits)};
}

template <typename T, int kDim>
void launch(StreamContext& context, const AttentionLaunch& args, const Partials& partials) {
  constexpr int kBytes = sizeof(Room<T, kDim>);
  static_assert(kBytes <= 99 * 1024,
                "more than a block may have on compute capability 8.6 and 12.0");
  CHECK_CUDA(cudaFuncSetAttribute(decode_kernel<T, kDim>,
                                  cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
  const int64_t head_tiles = divide_up(args.group, kHeads);
  const dim3 grid(static_cast<unsigned>(args.singles),
                  static_cast<unsigned>(args.kv_heads * head_tiles),
                  static_cast<unsigned>(partials.splits));
  launch_kernel(context, "decode attention", {grid, Shape<T, kDim>::kThreads, kBytes},
                decode_kernel<T, kDim>, args, partials);
}

template <typename T>
void launch_type(StreamContext& context, const AttentionLaunch& args, const Partials& partials) {
  switch (args.head_dim) {
    case 32:
      return launch<T, 32>(context, args, partials);
    case 64:
      return launch<T, 64>(context, args, partials);
    case 80:
      return launch<T, 80>(context, args, partials);
    case 96:
      return launch<T, 96>(context, args, partials);
    case 128:
      return launch<T, 128>(context, args, partials);
    case 256:
      return launch<T, 256>(context, args, partials);
    default:
      raise(kInternal, "decode attention: no kernel for head_dim %d", args.head_dim);
  }
}

void launch_any(StreamContext& context, const AttentionLaunch& args, DType type,
                const Partials& partials) {
  switch (type) {
    case DType::kBf16:
      return launch_type<__nv_bfloat16>(context, args, partials);
    case DType::kF16:
      return launch_type<__half>(context, args, partials);
    case DType::kInt8:
      return launch_type<int8_t>(context, args, partials);
    default:
      raise(kInternal, "decode attention: no kernel for this type of cache");
  }
}

}  // namespace

void attention_decode(StreamContext& context, const AttentionLaunch& args, DType type,
                      int64_t splits) {
  const Partials partials = take_partials(context, args, splits);
  launch_any(context, args, type, partials);
  if (splits == 1) return;
  const dim3 grid(static_cast<unsigned>(args.singles), static_cast<unsigned>(args.heads));
  launch_kernel(context, "combining of decode attention", {grid, 128}, combine_kernel, args,
                partials);
}

}  // namespace llmpq::cuda
