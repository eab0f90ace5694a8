// Causal attention over the paged cache with an online softmax. One item is up to 8 rows of a
// sequence and one KV head with all heads that read it: a block of the cache is widened to f32 once
// for all of them. The order of every sum depends on positions alone (blocks from position 0; token
// j of a block in lane j % 16; element i of a head in sum i % 16), so that a row gives the same
// bits in a prefill chunk and in a decode step. Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/attention_values.hpp"

namespace llmpq {
namespace {

LLMPQ_INLINE void begin_heads(const AttentionArgs& args, const AttentionItem& item, int64_t group,
                              const AttentionRoom& room) {
  const int64_t dim = args.cache->head_dim;
  for (int64_t r = 0; r < item.rows; ++r) {
    for (int64_t g = 0; g < group; ++g) {
      const HeadState state = room.state(r * group + g);
      const int64_t head = item.kv_head * group + g;
      const float* q = args.q + (item.row + r) * args.q_stride + head * dim;
      __builtin_memset(state.q, 0, static_cast<size_t>(2 * room.width) * sizeof(float));
      __builtin_memset(state.sum, 0, kLanes * sizeof(float));
      __builtin_memcpy(state.q, q, static_cast<size_t>(dim) * sizeof(float));
      const int64_t index = r * group + g;
      room.largest[index] = -__builtin_inff();
      room.position[index] = static_cast<float>(item.position + r);
      room.slope[index] = args.alibi_slopes == nullptr ? 0.0f : args.alibi_slopes[head];
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

/// The block of the cache that is asked for while another is worked on by `calls` calls of ask().
LLMPQ_INLINE BlockAhead block_ahead(const KvCache& cache, const TokenBlock& block, int64_t calls) {
  const int64_t size = cache.type == DType::kInt8 ? 1 : cache.type == DType::kF32 ? 4 : 2;
  const int64_t token_bytes = cache.head_dim * size, bytes = block.count * token_bytes;
  const auto lines = [&](const void* tokens) {
    const std::byte* const begin = static_cast<const std::byte*>(tokens) + block.slot * token_bytes;
    return LinesAhead{begin, begin + bytes};
  };
  return {lines(cache.k), lines(cache.v), bytes / LinesAhead::kLine / calls + 1};
}

/// work(first, end, view) for rows [first, end) of the item that see the same tokens of a block, if
/// any.
template <typename Work>
LLMPQ_INLINE void for_rows(const AttentionArgs& args, const AttentionItem& item,
                           const TokenBlock& block, Work work) {
  const auto view_of = [&](int64_t row) {
    const int64_t position = item.position + row;
    const int64_t first = first_key(args, position) - block.start;
    const int64_t last = position + 1 - block.start;
    return BlockView{block.start, first > 0 ? first : 0, last < block.count ? last : block.count};
  };
  for (int64_t row = 0, end; row < item.rows; row = end) {
    const BlockView view = view_of(row);
    for (end = row + 1; end < item.rows; ++end) {
      const BlockView next = view_of(end);
      if (next.first != view.first || next.last != view.last) break;
    }
    if (view.first < view.last) work(row, end, view);
  }
}

template <int n>
struct Count {
  static constexpr int value = n;
};

/// work(Count, index) for states [begin, end): kHeadStates at a time as long as there are so many,
/// and one by one at the end. They do not depend on each other: while one waits for its sums, the
/// next is under way.
template <typename Work>
LLMPQ_INLINE void for_states(int64_t begin, int64_t end, Work work) {
  for (; begin + kHeadStates <= end; begin += kHeadStates) work(Count<kHeadStates>(), begin);
  for (; begin < end; ++begin) work(Count<1>(), begin);
}

LLMPQ_INLINE void attend_block(const AttentionArgs& args, const AttentionItem& item,
                               const AttentionRoom& room, const TokenBlock& block,
                               BlockAhead& ahead, LinesAhead& weights) {
  const int64_t group = args.heads / args.cache->kv_heads;
  for_rows(args, item, block, [&](int64_t first, int64_t last, const BlockView& view) {
    for_states(first * group, last * group, [&](auto count, int64_t index) {
      score_block<count.value>(args, room, index, view, ahead);
    });
    for (int64_t index = first * group, end; index < last * group; index = end) {
      end = index + kLanes < last * group ? index + kLanes : last * group;
      weigh_states(room, index, end - index, weights);
    }
    for_states(first * group, last * group, [&](auto count, int64_t index) {
      add_block<count.value>(room, index, view, weights);
    });
  });
}

void attention_kernel(const AttentionArgs& args, const AttentionItem& item, float* scratch,
                      LinesAhead& weights) {
  const KvCache& cache = *args.cache;
  const int64_t group = args.heads / cache.kv_heads;
  const AttentionRoom room = make_room(cache, item.rows * group, scratch);
  begin_heads(args, item, group, room);
  const int64_t last = (item.position + item.rows - 1) / cache.block_tokens;
  int64_t index = first_key(args, item.position) / cache.block_tokens;
  for (TokenBlock block = token_block(args, item, index), next; index <= last; block = next) {
    next = ++index <= last ? token_block(args, item, index) : block;
    BlockAhead ahead =
        block_ahead(cache, next, (item.rows * group + kHeadStates - 1) / kHeadStates * kAsksOfTile);
    load_block(cache, block.slot, block.count, room);
    attend_block(args, item, room, block, ahead, weights);
  }
  finish_heads(args, item, group, room);
}

}  // namespace
}  // namespace llmpq
