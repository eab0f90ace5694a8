// The feed-forward block's activation, gated or not. Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/math.hpp"

namespace llmpq {
namespace {

/// y[i] = function(x[i]) (* up[i] if up is given)
template <typename Function>
LLMPQ_INLINE void activate_row(Function function, const float* x, const float* up, int64_t width,
                               float* y) {
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    const F32x16 value = function(load(x + i));
    store(y + i, up == nullptr ? value : value * load(up + i));
  }
  if (i == width) return;
  const F32x16 value = function(load_first(x + i, width - i));
  const F32x16 result = up == nullptr ? value : value * load_first(up + i, width - i);
  store_first(y + i, result, width - i);
}

template <typename Function>
LLMPQ_INLINE void activate_rows(Function function, const ActivationArgs& args, int64_t begin,
                                int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    const float* x = args.x + t * args.width * (args.gated ? 2 : 1);
    activate_row(function, x, args.gated ? x + args.width : nullptr, args.width,
                 args.y + t * args.width);
  }
}

void activation_kernel(const ActivationArgs& args, int64_t begin, int64_t end) {
  using Kind = ActivationArgs::Kind;
  switch (args.kind) {
    case Kind::kSilu:
      return activate_rows([](F32x16 x) { return silu(x); }, args, begin, end);
    case Kind::kRelu:
      return activate_rows([](F32x16 x) { return relu(x); }, args, begin, end);
    case Kind::kGeluErf:
      return activate_rows([](F32x16 x) { return gelu_erf(x); }, args, begin, end);
    case Kind::kGeluTanh:
      return activate_rows([](F32x16 x) { return gelu_tanh(x); }, args, begin, end);
    case Kind::kSoftCap: {
      const F32x16 cap = broadcast(args.cap);
      return activate_rows([cap](F32x16 x) { return cap * tanh(x / cap); }, args, begin, end);
    }
  }
}

void exp_kernel(const float* x, int64_t count, float* y) {
  activate_row([](F32x16 v) { return exp(v); }, x, nullptr, count, y);
}
void tanh_kernel(const float* x, int64_t count, float* y) {
  activate_row([](F32x16 v) { return tanh(v); }, x, nullptr, count, y);
}
void erf_kernel(const float* x, int64_t count, float* y) {
  activate_row([](F32x16 v) { return erf(v); }, x, nullptr, count, y);
}

}  // namespace
}  // namespace llmpq
