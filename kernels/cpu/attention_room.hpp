// The memory of one item of attention: a block of the cache as f32, and for every row and head how
// far its softmax has come. Included after a lanes_*.hpp.
#pragma once

#include "kernels/convert.hpp"
#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

/// One row and head on its way: softmax so far is acc / sum, relative to exp(largest).
struct HeadState {
  float* q;       ///< [padded head_dim], times nothing yet
  float* acc;     ///< [padded head_dim]
  float* scores;  ///< [padded block_tokens]
  float* sum;     ///< [16] lanes
};

/// The scratch memory of one item, cut into its parts; sizes are padded to 16 lanes. A state is a
/// row and head: rows * heads per KV head of them.
struct AttentionRoom {
  int64_t width;       ///< head_dim, padded
  int64_t tokens;      ///< block_tokens, padded
  int64_t states;      ///< padded
  float* k;            ///< [width, tokens]: 16 tokens of an element are lanes
  float* v;            ///< [tokens, width]
  float* largest;      ///< [states]
  float* shrink;       ///< [states], what acc is multiplied by before a block is added
  float* position;     ///< [states], of the row; exact, for no sequence has 2^24 tokens
  float* slope;        ///< [states], of the head
  float* first_state;  ///< [states] of 2 * width + tokens + 16 floats

  LLMPQ_INLINE HeadState state(int64_t index) const {
    float* const q = first_state + index * (2 * width + tokens + kLanes);
    float* const scores = q + 2 * width;
    return {q, q + width, scores, scores + tokens};
  }
};

LLMPQ_INLINE int64_t padded(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

LLMPQ_INLINE AttentionRoom make_room(const KvCache& cache, int64_t states, float* scratch) {
  AttentionRoom room;
  room.width = padded(cache.head_dim);
  room.tokens = padded(cache.block_tokens);
  room.states = padded(states);
  room.k = scratch;
  room.v = room.k + room.tokens * room.width;
  room.largest = room.v + room.tokens * room.width;
  room.shrink = room.largest + room.states;
  room.position = room.shrink + room.states;
  room.slope = room.position + room.states;
  room.first_state = room.slope + room.states;
  return room;
}

// What comes next is asked for while something else is computed, a few lines at a time: of many at
// once the processor drops most.

/// Calls of BlockAhead::ask() in the scores of a few states, kHeadStates or one.
constexpr int kAsksOfTile = 4;

/// Keys and values of the next block.
struct BlockAhead {
  LinesAhead k, v;
  int64_t lines;  ///< of each, for a call

  LLMPQ_INLINE void ask() {
    k.ask(lines);
    v.ask(lines);
  }
};

/// Lines of the next weights for each state's work on a block, twice: as many as the memory brings
/// in that time.
constexpr int64_t kLinesForState = 8;

/// k or v of a cache.
struct CacheTensor {
  const void* numbers;
  const float* scales;  ///< of int8
  int64_t dim;          ///< numbers of a token and head
};

/// `count` numbers (at most 16) of a token, those from `i` on, as f32; 0 in the other lanes.
template <DType type>
LLMPQ_INLINE F32x16 widened(const CacheTensor& tensor, int64_t token, int64_t i, int64_t count) {
  float numbers[kLanes] = {};
  const int64_t at = token * tensor.dim + i;
  if constexpr (type == DType::kBf16) {
    bf16_to_f32(static_cast<const uint16_t*>(tensor.numbers) + at, numbers, count);
  } else if constexpr (type == DType::kF16) {
    f16_to_f32(static_cast<const uint16_t*>(tensor.numbers) + at, numbers, count);
  } else if constexpr (type == DType::kInt8) {
    const int8_t* const from = static_cast<const int8_t*>(tensor.numbers) + at;
    const float scale = tensor.scales[token];
    for (int64_t n = 0; n < count; ++n) numbers[n] = static_cast<float>(from[n]) * scale;
  } else {
    __builtin_memcpy(numbers, static_cast<const float*>(tensor.numbers) + at,
                     static_cast<size_t>(count) * sizeof(float));
  }
  return load(numbers);
}

/// Keys of tokens [0, count) of the block at `slot`, and 0 for what is missing.
template <DType type>
LLMPQ_INLINE void load_keys(const CacheTensor& keys, int64_t slot, int64_t count,
                            const AttentionRoom& room) {
  for (int64_t t = 0; t < room.tokens; t += kLanes) {
    for (int64_t i = 0; i < room.width; i += kLanes) {
      F32x16 square[kLanes];
#pragma GCC unroll 16
      for (int r = 0; r < kLanes; ++r) {
        square[r] = broadcast(0.0f);
        if (t + r < count)
          square[r] = keys.dim - i < kLanes ? widened<type>(keys, slot + t + r, i, keys.dim - i)
                                            : widened<type>(keys, slot + t + r, i, kLanes);
      }
      transpose(square);
#pragma GCC unroll 16
      for (int r = 0; r < kLanes; ++r) store(room.k + (i + r) * room.tokens + t, square[r]);
    }
  }
}

/// Values of tokens [0, count) of the block at `slot`.
template <DType type>
LLMPQ_INLINE void load_values(const CacheTensor& values, int64_t slot, int64_t count,
                              const AttentionRoom& room) {
  float* to = room.v;
  for (int64_t j = 0; j < count; ++j)
    for (int64_t i = 0; i < room.width; i += kLanes, to += kLanes)
      store(to, values.dim - i < kLanes ? widened<type>(values, slot + j, i, values.dim - i)
                                        : widened<type>(values, slot + j, i, kLanes));
}

template <DType type>
[[gnu::noinline]] void load_block_of(const KvCache& cache, int64_t slot, int64_t count,
                                     const AttentionRoom& room) {
  load_keys<type>({cache.k, cache.k_scale, cache.head_dim}, slot, count, room);
  load_values<type>({cache.v, cache.v_scale, cache.head_dim}, slot, count, room);
}

/// Tokens [0, count) of the block at `slot` to the room's k and v.
LLMPQ_INLINE void load_block(const KvCache& cache, int64_t slot, int64_t count,
                             const AttentionRoom& room) {
  switch (cache.type) {
    case DType::kBf16:
      return load_block_of<DType::kBf16>(cache, slot, count, room);
    case DType::kF16:
      return load_block_of<DType::kF16>(cache, slot, count, room);
    case DType::kInt8:
      return load_block_of<DType::kInt8>(cache, slot, count, room);
    default:
      return load_block_of<DType::kF32>(cache, slot, count, room);
  }
}

}  // namespace
}  // namespace llmpq
