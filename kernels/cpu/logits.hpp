// The passes over a whole vocabulary that every choice of a token takes, and that comparing two
// distributions takes. Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/math.hpp"
#include "kernels/softmax.hpp"

namespace llmpq {
namespace {

float largest_kernel(const float* values, int64_t count) {
  F32x16 most = broadcast(kNever);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) most = max(most, load(values + i));
  float result = largest(most);
  for (; i < count; ++i) result = values[i] > result ? values[i] : result;
  return result;
}

void drop_nonfinite_kernel(float* logits, int64_t count) {
  const F32x16 never = broadcast(kNever), infinity = broadcast(__builtin_huge_valf());
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t lanes = count - i < kLanes ? count - i : kLanes;
    const F32x16 x = load_first(logits + i, lanes);
    store_first(logits + i, select(less(abs(x), infinity), x, never), lanes);
  }
}

/// Sums of their own for each lane: one chain of additions in double would be what limits the
/// speed, and the lanes' order is the same on every instruction set.
struct DivergenceLanes {
  double weight[kLanes] = {}, other_weight[kLanes] = {}, difference[kLanes] = {};
};

/// `lanes` is a constant where a whole vector is added, so that the loop is unrolled.
LLMPQ_INLINE void add_lanes(F32x16 a, F32x16 b, int64_t lanes, DivergenceLanes& sums) {
  float below[kLanes], other_below[kLanes], weight[kLanes], other_weight[kLanes];
  store(below, a);
  store(other_below, b);
  store(weight, exp(a));
  store(other_weight, exp(b));
  for (int64_t i = 0; i < lanes; ++i) {
    sums.weight[i] += weight[i];
    sums.other_weight[i] += other_weight[i];
    sums.difference[i] += weight[i] * (double{below[i]} - other_below[i]);
  }
}

/// The tree of sum(F32x16), in double.
LLMPQ_INLINE double sum_lanes(double (&lanes)[kLanes]) {
  for (int step = kLanes / 2; step > 0; step /= 2)
    for (int i = 0; i < step; ++i) lanes[i] += lanes[i + step];
  return lanes[0];
}

DivergenceSums divergence_kernel(const float* a, float a_max, const float* b, float b_max,
                                 int64_t count) {
  const F32x16 a_top = broadcast(a_max), b_top = broadcast(b_max);
  DivergenceLanes sums;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    add_lanes(load(a + i) - a_top, load(b + i) - b_top, kLanes, sums);
  if (i < count)
    add_lanes(load_first(a + i, count - i) - a_top, load_first(b + i, count - i) - b_top, count - i,
              sums);
  return {sum_lanes(sums.weight), sum_lanes(sums.other_weight), sum_lanes(sums.difference)};
}

}  // namespace
}  // namespace llmpq
