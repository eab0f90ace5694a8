// Causal attention over the paged cache with an online softmax. One item is up to 8 rows of a
// sequence and one KV head with all heads that read it: a block of the cache is widened to f32 once
// for all of them. The order of every sum depends on positions alone (blocks from position 0; token
// j of a block in lane j % 16; element i of a head in lane i % 16), so that a row gives the same
// bits in a prefill chunk and in a decode step. Included after a lanes_*.hpp.
#pragma once

#include "kernels/convert.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/math.hpp"

namespace llmpq {
namespace {

/// One row and head on its way: softmax so far is acc / sum, relative to exp(largest).
struct HeadState {
  float* q;       ///< [padded head_dim], times nothing yet
  float* acc;     ///< [padded head_dim]
  float* scores;  ///< [padded block_tokens]
  float* sum;     ///< [16] lanes
  float* largest;
  float* shrink;  ///< what acc is multiplied by before a block is added
};

/// The scratch memory of one item, cut into its parts; sizes are padded to 16 lanes.
struct AttentionRoom {
  int64_t width;   ///< head_dim, padded
  int64_t tokens;  ///< block_tokens, padded
  float *k, *v;    ///< [tokens, width]
  float* states;   ///< [rows * heads per KV head] of 2 * width + tokens + 32 floats

  LLMPQ_INLINE HeadState state(int64_t index) const {
    float* at = states + index * (2 * width + tokens + 2 * kLanes);
    float* scores = at + 2 * width;
    float* sum = scores + tokens;
    return {at, at + width, scores, sum, sum + kLanes, sum + kLanes + 1};
  }
};

LLMPQ_INLINE int64_t padded(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

LLMPQ_INLINE AttentionRoom make_room(const KvCache& cache, float* scratch) {
  AttentionRoom room;
  room.width = padded(cache.head_dim);
  room.tokens = padded(cache.block_tokens);
  room.k = scratch;
  room.v = room.k + room.tokens * room.width;
  room.states = room.v + room.tokens * room.width;
  return room;
}

/// Tokens [0, count) of a block as f32, rows of `width` floats; padding must be zero already.
LLMPQ_INLINE void widen_block(const KvCache& cache, const void* tensor, const float* scales,
                              int64_t slot, int64_t count, int64_t width, float* to) {
  const int64_t dim = cache.head_dim;
  for (int64_t j = 0; j < count; ++j, to += width) {
    const int64_t at = (slot + j) * dim;
    switch (cache.type) {
      case DType::kBf16:
        bf16_to_f32(static_cast<const uint16_t*>(tensor) + at, to, dim);
        break;
      case DType::kF16:
        f16_to_f32(static_cast<const uint16_t*>(tensor) + at, to, dim);
        break;
      case DType::kInt8: {
        const int8_t* from = static_cast<const int8_t*>(tensor) + at;
        const float scale = scales[slot + j];
        for (int64_t i = 0; i < dim; ++i) to[i] = static_cast<float>(from[i]) * scale;
        break;
      }
      default:
        __builtin_memcpy(to, static_cast<const float*>(tensor) + at,
                         static_cast<size_t>(dim) * sizeof(float));
    }
  }
}

/// Which keys of a block a row sees, and how it weighs them.
struct BlockView {
  int64_t first, last;  ///< half-open, within the block
  float scale, slope;
  float soft_cap;  ///< 0 = off
  float offset;    ///< position of the block's first token minus the row's position
};

/// to[t] = q.k of tokens j + t.
LLMPQ_INLINE void dot_tokens(const AttentionRoom& room, const float* q, int64_t j, float* to) {
  F32x16 dots[kScoreTokens];
#pragma GCC unroll 16
  for (int t = 0; t < kScoreTokens; ++t) dots[t] = broadcast(0.0f);
  const float* k = room.k + j * room.width;
  for (int64_t i = 0; i < room.width; i += kLanes) {
    const F32x16 part = load(q + i);
#pragma GCC unroll 16
    for (int t = 0; t < kScoreTokens; ++t)
      dots[t] = fma(part, load(k + t * room.width + i), dots[t]);
  }
  store_sums(to, dots);
}

/// 0 to 15.
constexpr float kLaneNumbers[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/// The scores of the view's tokens, -infinity for the others.
LLMPQ_INLINE void score_block(const AttentionRoom& room, const HeadState& state,
                              const BlockView& view) {
  const F32x16 none = broadcast(-__builtin_inff());
  const F32x16 first = broadcast(static_cast<float>(view.first));
  const F32x16 last = broadcast(static_cast<float>(view.last));
  for (int64_t t = 0; t < room.tokens; t += kLanes) {
    if (t >= view.last || t + kLanes <= view.first) {
      store(state.scores + t, none);
      continue;
    }
    for (int64_t j = t; j < t + kLanes; j += kScoreTokens)
      dot_tokens(room, state.q, j, state.scores + j);
    const F32x16 token = broadcast(static_cast<float>(t)) + load(kLaneNumbers);
    const F32x16 distance = broadcast(view.offset) + token;
    F32x16 score =
        fma(broadcast(view.slope), distance, broadcast(view.scale) * load(state.scores + t));
    if (view.soft_cap > 0.0f) {
      const F32x16 cap = broadcast(view.soft_cap);
      score = cap * tanh(score / cap);
    }
    store(state.scores + t,
          select(less(token, first), none, select(less(token, last), score, none)));
  }
}

/// Scores become exp(score - the largest so far); what was added before shrinks to match.
LLMPQ_INLINE void weigh_block(const AttentionRoom& room, const HeadState& state) {
  F32x16 most = broadcast(-__builtin_inff());
  for (int64_t t = 0; t < room.tokens; t += kLanes) most = max(most, load(state.scores + t));
  const float before = *state.largest, in_block = largest(most);
  const float now = before > in_block ? before : in_block;
  *state.largest = now;
  // exp(0) is 1 exactly, and a block seldom has the largest score so far.
  const F32x16 shrink = now == before ? broadcast(1.0f) : exp(broadcast(before - now));
  F32x16 total = load(state.sum) * shrink;
  for (int64_t t = 0; t < room.tokens; t += kLanes) {
    const F32x16 p = exp(load(state.scores + t) - broadcast(now));
    store(state.scores + t, p);
    total = total + p;
  }
  store(state.sum, total);
  store_first(state.shrink, shrink, 1);
}

/// acc[i..] = acc * shrink + sum over the view's tokens of score * v, for `count` vectors of 16.
template <int count>
LLMPQ_INLINE void add_values(const AttentionRoom& room, const HeadState& state,
                             const BlockView& view, F32x16 shrink, int64_t i) {
  F32x16 values[count];
#pragma GCC unroll 4
  for (int c = 0; c < count; ++c) values[c] = load(state.acc + i + c * kLanes) * shrink;
  for (int64_t j = view.first; j < view.last; ++j) {
    const F32x16 p = broadcast(state.scores[j]);
    const float* v = room.v + j * room.width + i;
#pragma GCC unroll 4
    for (int c = 0; c < count; ++c) values[c] = fma(p, load(v + c * kLanes), values[c]);
  }
#pragma GCC unroll 4
  for (int c = 0; c < count; ++c) store(state.acc + i + c * kLanes, values[c]);
}

/// Adds the values of the view's tokens, weighed by their scores.
LLMPQ_INLINE void add_block(const AttentionRoom& room, const HeadState& state,
                            const BlockView& view) {
  const F32x16 shrink = broadcast(*state.shrink);
  int64_t i = 0;
  for (; i + 4 * kLanes <= room.width; i += 4 * kLanes) add_values<4>(room, state, view, shrink, i);
  for (; i < room.width; i += kLanes) add_values<1>(room, state, view, shrink, i);
}

LLMPQ_INLINE void begin_heads(const AttentionArgs& args, const AttentionItem& item, int64_t group,
                              const AttentionRoom& room) {
  const int64_t dim = args.cache->head_dim;
  __builtin_memset(room.k, 0, static_cast<size_t>(2 * room.tokens * room.width) * sizeof(float));
  for (int64_t r = 0; r < item.rows; ++r) {
    for (int64_t g = 0; g < group; ++g) {
      const HeadState state = room.state(r * group + g);
      const int64_t head = item.kv_head * group + g;
      const float* q = args.q + (item.row + r) * args.q_stride + head * dim;
      __builtin_memset(state.q, 0, static_cast<size_t>(2 * room.width) * sizeof(float));
      __builtin_memset(state.sum, 0, kLanes * sizeof(float));
      __builtin_memcpy(state.q, q, static_cast<size_t>(dim) * sizeof(float));
      *state.largest = -__builtin_inff();
    }
  }
}

LLMPQ_INLINE void finish_heads(const AttentionArgs& args, const AttentionItem& item, int64_t group,
                               const AttentionRoom& room) {
  const int64_t dim = args.cache->head_dim;
  for (int64_t r = 0; r < item.rows; ++r) {
    for (int64_t g = 0; g < group; ++g) {
      const HeadState state = room.state(r * group + g);
      const int64_t head = item.kv_head * group + g;
      float* y = args.y + ((item.row + r) * args.heads + head) * dim;
      const float total = sum(load(state.sum));
      for (int64_t i = 0; i < dim; ++i) y[i] = state.acc[i] / total;
    }
  }
}

/// First key that a row at `position` sees.
LLMPQ_INLINE int64_t first_key(const AttentionArgs& args, int64_t position) {
  const bool cut = args.window > 0 && position >= args.window;
  return cut ? position - args.window + 1 : 0;
}

/// Tokens [start, start + count) of a sequence, and where the block's lie in the cache.
struct TokenBlock {
  int64_t start, count;
  int64_t slot;
};

/// Block `index` of the item's sequence, as far as its rows see it.
LLMPQ_INLINE TokenBlock token_block(const AttentionArgs& args, const AttentionItem& item,
                                    int64_t index) {
  const KvCache& cache = *args.cache;
  const int64_t start = index * cache.block_tokens;
  const int64_t seen = item.position + item.rows - start;
  const int64_t id = args.ranges.block_table[item.table + index];
  return {start, seen < cache.block_tokens ? seen : cache.block_tokens,
          (id * cache.kv_heads + item.kv_head) * cache.block_tokens};
}

/// A block of the cache that is asked for while another is worked on, a few lines at a time.
struct BlockAhead {
  LinesAhead k, v;

  LLMPQ_INLINE BlockAhead(const KvCache& cache, const TokenBlock& block) {
    const int64_t size = cache.type == DType::kInt8 ? 1 : cache.type == DType::kF32 ? 4 : 2;
    const int64_t token_bytes = cache.head_dim * size;
    const auto lines = [&](const void* tokens) {
      const std::byte* const begin =
          static_cast<const std::byte*>(tokens) + block.slot * token_bytes;
      return LinesAhead{begin, begin + block.count * token_bytes};
    };
    k = lines(cache.k);
    v = lines(cache.v);
  }

  LLMPQ_INLINE void ask_for_some() {
    k.ask(4);
    v.ask(4);
  }
};

/// work(state, view) for the rows that see tokens of a block, and their heads. They do not depend
/// on each other: while one waits for its sums, the next is under way.
template <typename Work>
LLMPQ_INLINE void for_states(const AttentionArgs& args, const AttentionItem& item,
                             const AttentionRoom& room, const TokenBlock& block, Work work) {
  const int64_t group = args.heads / args.cache->kv_heads;
  for (int64_t r = 0; r < item.rows; ++r) {
    const int64_t position = item.position + r;
    const int64_t first = first_key(args, position) - block.start;
    const int64_t last = position + 1 - block.start;
    BlockView view{
        first > 0 ? first : 0, last < block.count ? last : block.count,   args.scale, 0.0f,
        args.soft_cap,         static_cast<float>(block.start - position)};
    if (view.first >= view.last) continue;
    for (int64_t g = 0; g < group; ++g) {
      if (args.alibi_slopes != nullptr) view.slope = args.alibi_slopes[item.kv_head * group + g];
      work(room.state(r * group + g), view);
    }
  }
}

/// Lines of the next weights for each head's work on a block: as many as the memory brings in that
/// time.
constexpr int64_t kLinesForHead = 8;

void attention_kernel(const AttentionArgs& args, const AttentionItem& item, float* scratch,
                      LinesAhead& weights) {
  const KvCache& cache = *args.cache;
  const int64_t group = args.heads / cache.kv_heads;
  const AttentionRoom room = make_room(cache, scratch);
  begin_heads(args, item, group, room);
  const int64_t last = (item.position + item.rows - 1) / cache.block_tokens;
  int64_t index = first_key(args, item.position) / cache.block_tokens;
  for (TokenBlock block = token_block(args, item, index), next; index <= last; block = next) {
    next = ++index <= last ? token_block(args, item, index) : block;
    BlockAhead ahead(cache, next);
    widen_block(cache, cache.k, cache.k_scale, block.slot, block.count, room.width, room.k);
    widen_block(cache, cache.v, cache.v_scale, block.slot, block.count, room.width, room.v);
    for_states(args, item, room, block, [&](const HeadState& state, const BlockView& view) {
      ahead.ask_for_some();
      score_block(room, state, view);
    });
    for_states(args, item, room, block, [&](const HeadState& state, const BlockView&) {
      weights.ask(kLinesForHead);
      weigh_block(room, state);
    });
    for_states(args, item, room, block, [&](const HeadState& state, const BlockView& view) {
      weights.ask(kLinesForHead);
      add_block(room, state, view);
    });
  }
  finish_heads(args, item, group, room);
}

}  // namespace
}  // namespace llmpq
