// Attention's scores of a block: dot products of queries and keys, and what softmax makes of them.
// Tokens are lanes. The order of a dot product is that of a sum over a row (sum() of lanes_*.hpp):
// element i is added to sum i % 16, and the 16 sums by the tree. Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/attention_room.hpp"
#include "kernels/cpu/math.hpp"

namespace llmpq {
namespace {

/// Keys of a block that some rows see: tokens [first, last) of it.
struct BlockView {
  int64_t start;  ///< the block's first token
  int64_t first, last;
};

/// A sum of each of some states, for 16 tokens.
template <int states>
struct TokenSums {
  F32x16 of[states];
};

/// Queries of some states, and a block's keys from one of its tokens on.
template <int states>
struct QueriesAndKeys {
  const float* q[states];
  const float* k;
  int64_t width, tokens;
  BlockAhead* ahead;
};

/// Sum `lane` of the 16, of the elements lane, lane + 16, ...
template <int states>
LLMPQ_INLINE TokenSums<states> lane_sum(const QueriesAndKeys<states>& in, int lane) {
  TokenSums<states> sums;
#pragma GCC unroll 8
  for (int s = 0; s < states; ++s) sums.of[s] = broadcast(0.0f);
  for (int64_t i = lane; i < in.width; i += kLanes) {
    const F32x16 k = load(in.k + i * in.tokens);
#pragma GCC unroll 8
    for (int s = 0; s < states; ++s) sums.of[s] = fma(broadcast(in.q[s][i]), k, sums.of[s]);
  }
  return sums;
}

/// The tree over lanes `lane`, lane + step, lane + 2 step, ...: those 8 apart first.
template <int step, int states>
LLMPQ_INLINE TokenSums<states> tree_sum(const QueriesAndKeys<states>& in, int lane) {
  if constexpr (step == kLanes) {
    return lane_sum(in, lane);
  } else {
    if constexpr (step == kLanes / kAsksOfTile) in.ahead->ask();
    TokenSums<states> sums = tree_sum<2 * step>(in, lane);
    const TokenSums<states> others = tree_sum<2 * step>(in, lane + step);
#pragma GCC unroll 8
    for (int s = 0; s < states; ++s) sums.of[s] = sums.of[s] + others.of[s];
    return sums;
  }
}

/// States whose largest scores are sought one by one.
constexpr int64_t kFewStates = 8;

/// 0 to 15.
constexpr float kLaneNumbers[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/// A state's scores of 16 tokens from `t` on: -infinity for those out of view.
LLMPQ_INLINE F32x16 score(const AttentionArgs& args, const AttentionRoom& room, int64_t index,
                          const BlockView& view, int64_t t, F32x16 dots) {
  const F32x16 token = broadcast(static_cast<float>(t)) + load(kLaneNumbers);
  const F32x16 distance = broadcast(static_cast<float>(view.start) - room.position[index]) + token;
  F32x16 result = fma(broadcast(room.slope[index]), distance, broadcast(args.scale) * dots);
  if (args.soft_cap > 0.0f) {
    const F32x16 cap = broadcast(args.soft_cap);
    result = cap * tanh(result / cap);
  }
  const F32x16 none = broadcast(-__builtin_inff());
  const F32x16 first = broadcast(static_cast<float>(view.first));
  const F32x16 last = broadcast(static_cast<float>(view.last));
  return select(less(token, first), none, select(less(token, last), result, none));
}

/// The scores of `states` states from `index` on.
template <int states>
[[gnu::noinline]] void score_block(const AttentionArgs& args, const AttentionRoom& room,
                                   int64_t index, const BlockView& view, BlockAhead& ahead) {
  HeadState of[states];
  QueriesAndKeys<states> in;
#pragma GCC unroll 8
  for (int s = 0; s < states; ++s) {
    of[s] = room.state(index + s);
    in.q[s] = of[s].q;
  }
  in.width = room.width;
  in.tokens = room.tokens;
  in.ahead = &ahead;
  for (int64_t t = 0; t < room.tokens; t += kLanes) {
    TokenSums<states> dots{};
    in.k = room.k + t;
    if (t < view.last && t + kLanes > view.first) dots = tree_sum<1>(in, 0);
#pragma GCC unroll 8
    for (int s = 0; s < states; ++s)
      store(of[s].scores + t, score(args, room, index + s, view, t, dots.of[s]));
  }
}

/// The largest score of each of `count` states (at most 16) from `index` on, in their lanes.
LLMPQ_INLINE F32x16 largest_scores(const AttentionRoom& room, int64_t index, int64_t count) {
  const F32x16 none = broadcast(-__builtin_inff());
  F32x16 most[kLanes];
  for (int64_t s = 0; s < kLanes; ++s) most[s] = none;
  for (int64_t s = 0; s < count; ++s) {
    const HeadState state = room.state(index + s);
    for (int64_t t = 0; t < room.tokens; t += kLanes)
      most[s] = max(most[s], load(state.scores + t));
  }
  if (count <= kFewStates) {
    float each[kLanes];
    for (int64_t s = 0; s < kLanes; ++s) each[s] = s < count ? largest(most[s]) : 0.0f;
    return load(each);
  }
  transpose(most);
  F32x16 all = most[0];
  for (int64_t t = 1; t < kLanes; ++t) all = max(all, most[t]);
  return all;
}

/// Scores of at most 16 states become exp(score - the largest so far); what was added before
/// shrinks to match.
LLMPQ_INLINE void weigh_states(const AttentionRoom& room, int64_t index, int64_t count,
                               LinesAhead& weights) {
  const F32x16 before = load_first(room.largest + index, count);
  const F32x16 now = max(before, largest_scores(room, index, count));
  // Exactly 1, also where nothing was seen before or now.
  const F32x16 shrink = select(less(before, now), exp(before - now), broadcast(1.0f));
  store_first(room.largest + index, now, count);
  store_first(room.shrink + index, shrink, count);
  for (int64_t s = index; s < index + count; ++s) {
    weights.ask(kLinesForState);
    const HeadState state = room.state(s);
    const F32x16 most = broadcast(room.largest[s]);
    F32x16 total = load(state.sum) * broadcast(room.shrink[s]);
    for (int64_t t = 0; t < room.tokens; t += kLanes) {
      const F32x16 p = exp(load(state.scores + t) - most);
      store(state.scores + t, p);
      total = total + p;
    }
    store(state.sum, total);
  }
}

}  // namespace
}  // namespace llmpq
