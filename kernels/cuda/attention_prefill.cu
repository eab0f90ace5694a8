// Attention of ranges with several rows, on tensor cores. A block takes 64 (row, head) pairs that
// share a kv head and walks over their keys in tiles counted from position 0, while the next tile
// is on its way to shared memory. A row's result does not depend on how its prompt was cut.
#include <algorithm>

#include "kernels/cuda/attention_softmax.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/rounding.cuh"
#include "kernels/cuda/shared_memory.cuh"

namespace llmpq::cuda {
namespace {

constexpr int kThreads = 128;  ///< four warps of 16 pairs

/// What a block has in shared memory. Keys and values of two tiles (in turns); int8 arrives as it
/// is and is widened to one more tile of halves.
template <typename T, int kDim>
struct Room {
  static constexpr bool kWidened = sizeof(T) == 1;
  static constexpr bool kQueriesShared = kDim > 128;  // no registers left for them
  static constexpr int kKeys = kDim > 128 ? 32 : 64;
  static constexpr int kHalves = kKeys * HalfRows<kDim>::kStride;
  static constexpr int kHalfTiles = kWidened ? 1 : 2;

  uint16_t k[kHalfTiles][kHalves];
  uint16_t v[kHalfTiles][kHalves];
  int8_t k_bytes[kWidened ? 2 : 1][kWidened ? kKeys * kDim : 16];
  int8_t v_bytes[kWidened ? 2 : 1][kWidened ? kKeys * kDim : 16];
  float k_scale[kWidened ? 2 : 1][kKeys];
  float v_scale[kWidened ? 2 : 1][kKeys];
  uint32_t slots[2][kKeys];  ///< where the tile's tokens lie in the cache, in tokens
  unsigned long long bad;    ///< bit j: the values of key j are not finite
  uint4 queries[kQueriesShared ? kThreads / 32 : 1][kQueriesShared ? kDim / 16 : 1][32];
};

/// The pairs of a block: items [first_item, end_item) of a range, item = row * group + head.
struct Block {
  RowRange range;
  int first_item, end_item;
  int kv_head;
  int first_position, last_position;  ///< of its rows
  int first_key, first_tile;
};

[[maybe_unused]] __device__ bool find_block(const AttentionLaunch& args, int keys, Block& block) {
  const auto blocks_of = [&](const RowRange& range) {
    return range.rows == 1 ? 0 : (range.rows * args.group + kPrefillItems - 1) / kPrefillItems;
  };
  const FoundRange found =
      find_item(args.list, args.ranges, static_cast<int>(blockIdx.x), blocks_of);
  if (found.range.rows == 0) return false;
  block.range = found.range;
  // the last rows have most keys, so they go first
  block.first_item = (blocks_of(found.range) - 1 - found.item) * kPrefillItems;
  block.end_item = min(block.first_item + kPrefillItems, found.range.rows * args.group);
  block.kv_head = static_cast<int>(blockIdx.y);
  block.first_position = found.range.position + block.first_item / args.group;
  block.last_position = found.range.position + (block.end_item - 1) / args.group;
  block.first_key = first_key(args, block.first_position);
  block.first_tile = block.first_key / keys;
  return true;
}

/// Where this thread's key of a tile lies. Threads past the tile and keys that no row sees:
/// nowhere.
template <int kKeys>
__device__ uint32_t find_slot(const AttentionLaunch& args, const Block& block, int tile) {
  const int key = tile * kKeys + static_cast<int>(threadIdx.x);
  if (threadIdx.x >= kKeys || key < block.first_key || key > block.last_position) return kNoSlot;
  return cache_slot(args, block.range.table, block.kv_head, key);
}

/// Starts the copies of a tile whose slots are known.
template <typename T, int kDim>
__device__ void fetch_tile(const AttentionLaunch& args, Room<T, kDim>& room, int turn) {
  constexpr int kKeys = Room<T, kDim>::kKeys, kRowBytes = kDim * sizeof(T);
  constexpr int kChunks = kRowBytes / 16;
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < kKeys * kChunks; i += kThreads) {
    const int row = i / kChunks, chunk = i % kChunks;
    const uint32_t slot = room.slots[turn][row];
    const bool valid = slot != kNoSlot;
    const int64_t from = valid ? int64_t{slot} * kRowBytes + 16 * chunk : 0;
    void *k, *v;
    if constexpr (Room<T, kDim>::kWidened) {
      k = &room.k_bytes[turn][16 * i];
      v = &room.v_bytes[turn][16 * i];
    } else {
      k = &room.k[turn][HalfRows<kDim>::at(row, chunk)];
      v = &room.v[turn][HalfRows<kDim>::at(row, chunk)];
    }
    copy_16_bytes(k, static_cast<const std::byte*>(args.k) + from, valid);
    copy_16_bytes(v, static_cast<const std::byte*>(args.v) + from, valid);
  }
  if constexpr (Room<T, kDim>::kWidened) {
    if (threadIdx.x < kKeys) {
      const uint32_t slot = room.slots[turn][threadIdx.x];
      const bool valid = slot != kNoSlot;
      copy_4_bytes(&room.k_scale[turn][threadIdx.x], args.k_scale + (valid ? slot : 0), valid);
      copy_4_bytes(&room.v_scale[turn][threadIdx.x], args.v_scale + (valid ? slot : 0), valid);
    }
  }
}

/// Sixteen int8 to two chunks of halves.
template <typename Type, int kDim>
__device__ void widen_chunk(const int8_t* from, uint16_t* to, int row, int chunk) {
  const uint4 bytes = *reinterpret_cast<const uint4*>(from);
  const uint32_t words[4] = {bytes.x, bytes.y, bytes.z, bytes.w};
  uint32_t wide[8];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    wide[2 * i] = Type::integers(__byte_perm(words[i], 0, 0x4140));
    wide[2 * i + 1] = Type::integers(__byte_perm(words[i], 0, 0x4342));
  }
  *reinterpret_cast<uint4*>(to + HalfRows<kDim>::at(row, 2 * chunk)) = {wide[0], wide[1], wide[2],
                                                                        wide[3]};
  *reinterpret_cast<uint4*>(to + HalfRows<kDim>::at(row, 2 * chunk + 1)) = {wide[4], wide[5],
                                                                            wide[6], wide[7]};
}

template <typename T, int kDim>
__device__ void widen_tile(Room<T, kDim>& room, int turn) {
  constexpr int kChunks = kDim / 16;
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < Room<T, kDim>::kKeys * kChunks; i += kThreads) {
    const int row = i / kChunks, chunk = i % kChunks;
    widen_chunk<typename Products<T>::Scores, kDim>(&room.k_bytes[turn][16 * i], room.k[0], row,
                                                    chunk);
    widen_chunk<typename Products<T>::Values, kDim>(&room.v_bytes[turn][16 * i], room.v[0], row,
                                                    chunk);
  }
  __syncthreads();
}

/// Calls visit(key, is_bad, clear) for this thread's share of a tile's values.
template <typename T, int kDim, typename Visit>
__device__ void visit_values(Room<T, kDim>& room, int turn, Visit visit) {
  if constexpr (Room<T, kDim>::kWidened) {  // integers are finite, scales may be not
    if (threadIdx.x >= Room<T, kDim>::kKeys) return;
    float& scale = room.v_scale[turn][threadIdx.x];
    if (!isfinite(scale)) visit(static_cast<int>(threadIdx.x), [&] { scale = 0.0f; });
  } else {
    constexpr int kChunks = kDim / 8;
    constexpr uint32_t kExponents = Products<T>::Values::kExponents;
    for (int i = static_cast<int>(threadIdx.x); i < Room<T, kDim>::kKeys * kChunks; i += kThreads) {
      uint4& x =
          *reinterpret_cast<uint4*>(&room.v[turn][HalfRows<kDim>::at(i / kChunks, i % kChunks)]);
      const uint32_t bad =
          __vcmpeq2(x.x & kExponents, kExponents) | __vcmpeq2(x.y & kExponents, kExponents) |
          __vcmpeq2(x.z & kExponents, kExponents) | __vcmpeq2(x.w & kExponents, kExponents);
      if (bad != 0) visit(i / kChunks, [&] { x = {0, 0, 0, 0}; });
    }
  }
}

/// A weight of 0 does not keep NaN out of a product, so values that are not finite would reach rows
/// that do not see their key. Takes them out of the tile; returns their keys, one bit each.
template <typename T, int kDim>
__device__ unsigned long long hide_bad_values(Room<T, kDim>& room, int turn) {
  bool found = false;
  visit_values(room, turn, [&](int, auto) { found = true; });
  if (!__syncthreads_or(found)) return 0;
  if (threadIdx.x == 0) room.bad = 0;
  __syncthreads();
  visit_values(room, turn, [&](int key, auto clear) {
    atomicOr(&room.bad, 1ull << key);
    clear();
  });
  __syncthreads();
  return room.bad;
}

/// Rows that see a hidden key get NaN as their sum.
[[maybe_unused]] __device__ void tell_rows(unsigned long long bad, int key,
                                           const RowView (&views)[2], RowSoftmax& rows) {
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 64; ++j) {
      const bool seen = key + j >= views[i].first && key + j <= views[i].last;
      if (seen && (bad >> j & 1) != 0) rows.sum[i] = NAN;
    }
  }
}

/// The view of one of the lane's items, and where its q is (nullptr past the end).
__device__ RowView make_view(const AttentionLaunch& args, const Block& block, int item, float down,
                             const float** q) {
  const int within = min(item, block.end_item - 1);
  const int row = within / args.group;
  const int head = block.kv_head * args.group + within % args.group;
  const int position = block.range.position + row;
  const int64_t token = block.range.begin + row;
  *q = item < block.end_item ? args.q + token * args.q_stride + int64_t{head} * args.head_dim
                             : nullptr;
  const float slope = args.slopes == nullptr ? 0.0f : args.slopes[head] * kLog2E;
  return {args.scale * kLog2E * down, slope, position, first_key(args, position), position};
}

template <int kDim>
__device__ void store_rows(const AttentionLaunch& args, const Block& block, int item,
                           const RowSoftmax& rows, const float (&acc)[kDim / 8][4]) {
  for (int i = 0; i < 2; ++i) {
    const int mine = item + 8 * i;
    if (mine >= block.end_item) continue;
    const int64_t token = block.range.begin + mine / args.group;
    const int head = block.kv_head * args.group + mine % args.group;
    const int64_t first = (token * args.heads + head) * kDim + 2 * (threadIdx.x % 4);
    const float inverse = 1.0f / rows.sum[i];
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n)
      store<2>(args.y, args.rounded, first + 8 * n,
               {acc[n][2 * i] * inverse, acc[n][2 * i + 1] * inverse});
  }
}

/// A tile of keys for the warp's 16 items.
template <typename T, int kDim, typename Query>
__device__ void add_tile(Room<T, kDim>& room, int turn, int key, bool masked, bool alibi,
                         const RowView (&views)[2], Query query, RowSoftmax& rows,
                         float (&acc)[kDim / 8][4]) {
  using Shared = Room<T, kDim>;
  using Values = typename Products<T>::Values;
  const int halves = Shared::kWidened ? 0 : turn;
  unsigned long long bad = 0;
  if (masked) bad = hide_bad_values(room, turn);
  if constexpr (Shared::kWidened) widen_tile(room, turn);

  float s[Shared::kKeys / 8][4] = {};
  multiply_keys<typename Products<T>::Scores, kDim, Shared::kKeys>(query, room.k[halves], s);
  weigh_scores(s, views, key, Shared::kWidened ? room.k_scale[turn] : nullptr, alibi, masked);
  soften<Values>(s, rows, acc);
  if (bad != 0) tell_rows(bad, key, views, rows);
  if constexpr (Shared::kWidened) {
    const int t = static_cast<int>(threadIdx.x % 4);
#pragma unroll
    for (int n = 0; n < Shared::kKeys / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) s[n][e] *= room.v_scale[turn][8 * n + 2 * t + e % 2];
    }
  }
  multiply_values<Values, kDim, Shared::kKeys>(s, room.v[halves], acc);
}

/// Grid: (blocks of all ranges, an upper bound; kv heads).
template <typename T, int kDim>
__global__ void __launch_bounds__(kThreads) prefill_kernel(const AttentionLaunch args) {
  begin_kernel();
  if constexpr (has_tensor_cores<T>()) {
    using Shared = Room<T, kDim>;
    Shared& room = *reinterpret_cast<Shared*>(dynamic_shared());
    Block block;
    if (!find_block(args, Shared::kKeys, block)) return;
    const int tiles = block.last_position / Shared::kKeys + 1;
    if (threadIdx.x < Shared::kKeys) {
      room.slots[0][threadIdx.x] = find_slot<Shared::kKeys>(args, block, block.first_tile);
      room.slots[1][threadIdx.x] = find_slot<Shared::kKeys>(args, block, block.first_tile + 1);
    }
    __syncthreads();
    fetch_tile(args, room, 0);
    close_copies();

    const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
    const int item = block.first_item + 16 * warp + lane / 4;
    const float* q_rows[2];
    RowView views[2];
    for (int i = 0; i < 2; ++i) views[i] = make_view(args, block, item + 8 * i, 1.0f, &q_rows[i]);
    uint4 q[kDim / 16];
    float down[2];
    load_queries<typename Products<T>::Scores, kDim, false>(q_rows, q, down);
    for (int i = 0; i < 2; ++i) views[i].factor *= down[i];
    if constexpr (Shared::kQueriesShared) {
#pragma unroll
      for (int step = 0; step < kDim / 16; ++step) room.queries[warp][step][lane] = q[step];
    }
    const auto query = [&](int step) {
      if constexpr (Shared::kQueriesShared)
        return room.queries[warp][step][lane];
      else
        return q[step];
    };

    RowSoftmax rows;
    float acc[kDim / 8][4] = {};
    const int unseen_before = first_key(args, block.last_position);
    for (int tile = block.first_tile; tile < tiles; ++tile) {
      const int turn = (tile - block.first_tile) % 2, key = tile * Shared::kKeys;
      wait_for_copies<0>();
      __syncthreads();  // the tile is there, and nobody reads the one before any more
      if (tile + 1 < tiles) fetch_tile(args, room, 1 - turn);
      close_copies();
      const uint32_t slot = find_slot<Shared::kKeys>(args, block, tile + 2);
      const bool masked = key + Shared::kKeys - 1 > block.first_position || key < unseen_before;
      add_tile(room, turn, key, masked, args.slopes != nullptr, views, query, rows, acc);
      if (threadIdx.x < Shared::kKeys) room.slots[turn][threadIdx.x] = slot;
    }
    rows.add_lanes();
    store_rows<kDim>(args, block, item, rows, acc);
  }
}

template <typename T, int kDim>
void launch(StreamContext& context, const AttentionLaunch& args, int64_t blocks) {
  constexpr int kBytes = sizeof(Room<T, kDim>);
  static_assert(kBytes <= 99 * 1024,
                "more than a block may have on compute capability 8.6 and 12.0");
  CHECK_CUDA(cudaFuncSetAttribute(prefill_kernel<T, kDim>,
                                  cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(args.kv_heads));
  launch_kernel(context, "prefill attention", {grid, kThreads, kBytes}, prefill_kernel<T, kDim>,
                args);
}

template <typename T>
void launch_type(StreamContext& context, const AttentionLaunch& args, int64_t blocks) {
  switch (args.head_dim) {
    case 32:
      return launch<T, 32>(context, args, blocks);
    case 64:
      return launch<T, 64>(context, args, blocks);
    case 80:
      return launch<T, 80>(context, args, blocks);
    case 96:
      return launch<T, 96>(context, args, blocks);
    case 128:
      return launch<T, 128>(context, args, blocks);
    case 256:
      return launch<T, 256>(context, args, blocks);
    default:
      raise(kInternal, "prefill attention: no kernel for head_dim %d", args.head_dim);
  }
}

}  // namespace

bool compiled_for_tensor_cores() {
  // a process uses one device, so it is asked once
  static const bool compiled = [] {
    cudaFuncAttributes attributes;
    CHECK_CUDA(cudaFuncGetAttributes(&attributes, prefill_kernel<__nv_bfloat16, 64>));
    return attributes.ptxVersion >= 80;
  }();
  return compiled;
}

void attention_prefill(StreamContext& context, const AttentionLaunch& args, DType type,
                       int64_t blocks) {
  switch (type) {
    case DType::kBf16:
      return launch_type<__nv_bfloat16>(context, args, blocks);
    case DType::kF16:
      return launch_type<__half>(context, args, blocks);
    case DType::kInt8:
      return launch_type<int8_t>(context, args, blocks);
    default:
      raise(kInternal, "prefill attention: no kernel for this type of cache");
  }
}

}  // namespace llmpq::cuda
