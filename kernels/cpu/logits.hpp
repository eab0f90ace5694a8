// The passes over a whole vocabulary that every choice of a token takes. Included after a
// lanes_*.hpp.
#pragma once

#include "kernels/cpu/kernel_table.hpp"
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

}  // namespace
}  // namespace llmpq
