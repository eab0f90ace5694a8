// Rotary position embedding, in place. Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

LLMPQ_INLINE void rotate_head(float* x, const float* cosine, const float* sine, int64_t half) {
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[i];
    const float b = x[i + half];
    x[i] = __builtin_fmaf(a, cosine[i], -(b * sine[i]));
    x[i + half] = __builtin_fmaf(b, cosine[i], a * sine[i]);
  }
}

void rope_kernel(const RopeArgs& args, int64_t begin, int64_t end) {
  const int64_t half = args.rotary / 2;
  for (int64_t t = begin; t < end; ++t) {
    const float* cosine = args.cosine + args.position[t] * half;
    const float* sine = args.sine + args.position[t] * half;
    for (int64_t head = 0; head < args.heads; ++head)
      rotate_head(args.x + t * args.stride + head * args.head_dim, cosine, sine, half);
  }
}

}  // namespace
}  // namespace llmpq
