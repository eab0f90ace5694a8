// Attention's values of a block, weighed by their scores. Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/attention_scores.hpp"

namespace llmpq {
namespace {

/// acc[i..] = acc * shrink + sum over the view's tokens of score * v, for `count` vectors of 16 of
/// `states` states.
template <int states, int count>
LLMPQ_INLINE void add_values(const AttentionRoom& room, const HeadState (&of)[states],
                             const float* shrink, const BlockView& view, int64_t i,
                             LinesAhead& weights) {
  F32x16 values[states][count];
#pragma GCC unroll 8
  for (int s = 0; s < states; ++s)
#pragma GCC unroll 4
    for (int c = 0; c < count; ++c)
      values[s][c] = load(of[s].acc + i + c * kLanes) * broadcast(shrink[s]);
  for (int64_t j = view.first; j < view.last; ++j) {
    if (j % 4 == 0) weights.ask(states * kLinesForState / 4);
    const float* v = room.v + j * room.width + i;
#pragma GCC unroll 8
    for (int s = 0; s < states; ++s) {
      const F32x16 p = broadcast(of[s].scores[j]);
#pragma GCC unroll 4
      for (int c = 0; c < count; ++c) values[s][c] = fma(p, load(v + c * kLanes), values[s][c]);
    }
  }
#pragma GCC unroll 8
  for (int s = 0; s < states; ++s)
#pragma GCC unroll 4
    for (int c = 0; c < count; ++c) store(of[s].acc + i + c * kLanes, values[s][c]);
}

/// Adds the values of the view's tokens, weighed by their scores, to `states` states from `index`
/// on.
template <int states>
[[gnu::noinline]] void add_block(const AttentionRoom& room, int64_t index, const BlockView& view,
                                 LinesAhead& weights) {
  HeadState of[states];
#pragma GCC unroll 8
  for (int s = 0; s < states; ++s) of[s] = room.state(index + s);
  const float* const shrink = room.shrink + index;
  int64_t i = 0;
  for (; i + 4 * kLanes <= room.width; i += 4 * kLanes)
    add_values<states, 4>(room, of, shrink, view, i, weights);
  for (; i < room.width; i += kLanes) add_values<states, 1>(room, of, shrink, view, i, weights);
}

}  // namespace
}  // namespace llmpq
