// RMS norm and layer norm with the residual addition before them. Sums over a row: element i in
// lane i % 16, one chain per lane, then the tree of sum(). Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

/// Sum over a row of (x - mean)^2, or of x if `squared` is false.
template <bool squared>
LLMPQ_INLINE float row_sum(const float* x, float mean, int64_t width) {
  F32x16 total = broadcast(0.0f);
  const F32x16 center = broadcast(mean);
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    const F32x16 value = load(x + i) - center;
    total = squared ? fma(value, value, total) : total + value;
  }
  if (i < width) {  // absent lanes hold the mean: they add nothing
    alignas(64) float last[kLanes];
    store(last, center);
    for (int64_t j = i; j < width; ++j) last[j - i] = x[j];
    const F32x16 value = load(last) - center;
    total = squared ? fma(value, value, total) : total + value;
  }
  return sum(total);
}

LLMPQ_INLINE void norm_row(const NormArgs& args, const float* x, float* y) {
  const float count = static_cast<float>(args.hidden);
  const bool layer = args.kind == NormArgs::Kind::kLayer;
  const float mean = layer ? row_sum<false>(x, 0.0f, args.hidden) / count : 0.0f;
  const float variance = row_sum<true>(x, mean, args.hidden) / count;
  const float factor = 1.0f / __builtin_sqrtf(variance + args.eps);
  if (args.bias == nullptr) {
    for (int64_t i = 0; i < args.hidden; ++i) y[i] = ((x[i] - mean) * factor) * args.weight[i];
  } else {
    for (int64_t i = 0; i < args.hidden; ++i)
      y[i] = __builtin_fmaf((x[i] - mean) * factor, args.weight[i], args.bias[i]);
  }
}

void norm_kernel(const NormArgs& args, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    float* x = args.x + t * args.hidden;
    if (args.add != nullptr) {
      const float* add = args.add + t * args.hidden;
      for (int64_t i = 0; i < args.hidden; ++i) x[i] += add[i];
    }
    norm_row(args, x, args.y + t * args.hidden);
  }
}

void head_norm_kernel(const HeadNormArgs& args, int64_t begin, int64_t end) {
  NormArgs of_head{};
  of_head.kind = NormArgs::Kind::kRms;
  of_head.weight = args.weight;
  of_head.eps = args.eps;
  of_head.hidden = args.head_dim;
  for (int64_t t = begin; t < end; ++t) {
    for (int64_t head = 0; head < args.heads; ++head) {
      float* x = args.x + t * args.stride + head * args.head_dim;
      norm_row(of_head, x, x);
    }
  }
}

}  // namespace
}  // namespace llmpq
