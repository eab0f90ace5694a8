// The feed-forward block's activation, gated or not, in f32 with CUDA's accurate exp, erf and tanh:
// 1 or 2 ulp each, as the CPU's own polynomials.
#include "kernels/cuda/floats.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/rounding.cuh"

namespace llmpq::cuda {
namespace {

constexpr int kThreads = 256;
using Kind = ActivationArgs::Kind;

template <Kind kind>
__device__ float activated(float x, float cap) {
  const float half = 0.5f * x;
  if constexpr (kind == Kind::kSilu) return x / (1.0f + expf(-x));
  if constexpr (kind == Kind::kRelu) return x < 0.0f ? 0.0f : x;  // NaN stays NaN
  if constexpr (kind == Kind::kGeluErf) return fmaf(half, erff(x * 0.70710678118654752f), half);
  if constexpr (kind == Kind::kGeluTanh) {
    const float cubic = fmaf(0.044715f * (x * x), x, x);
    return fmaf(half, tanhf(0.79788456080286536f * cubic), half);
  }
  if constexpr (kind == Kind::kSoftCap) return cap * tanhf(x / cap);
}

/// grid (tokens, pieces of a row)
template <Kind kind, int n>
__global__ void __launch_bounds__(kThreads) activation_kernel(ActivationArgs args) {
  begin_kernel();
  const int64_t t = blockIdx.x;
  const int64_t i = (static_cast<int64_t>(blockIdx.y) * kThreads + threadIdx.x) * n;
  if (i >= args.width) return;
  const float* row = args.x + t * args.width * (args.gated ? 2 : 1);
  Floats<n> y = load<n>(row + i);
#pragma unroll
  for (int k = 0; k < n; ++k) y.at[k] = activated<kind>(y.at[k], args.cap);
  if (args.gated) {
    const Floats<n> up = load<n>(row + args.width + i);
#pragma unroll
    for (int k = 0; k < n; ++k) y.at[k] *= up.at[k];
  }
  store(args.y, args.rounded, t * args.width + i, y);
}

template <Kind kind>
void launch(StreamContext& context, const ActivationArgs& args) {
  const int n = packs_of_four(args.width, args.x, args.y) ? 4 : 1;
  const dim3 grid(static_cast<unsigned>(args.tokens),
                  static_cast<unsigned>(divide_up(args.width, kThreads * n)));
  launch_kernel(context, "activation", {grid, kThreads},
                n == 4 ? activation_kernel<kind, 4> : activation_kernel<kind, 1>, args);
}

}  // namespace

void activation(StreamContext& context, const ActivationArgs& args) {
  if (args.tokens <= 0 || args.width <= 0) return;
  switch (args.kind) {
    case Kind::kSilu:
      return launch<Kind::kSilu>(context, args);
    case Kind::kRelu:
      return launch<Kind::kRelu>(context, args);
    case Kind::kGeluErf:
      return launch<Kind::kGeluErf>(context, args);
    case Kind::kGeluTanh:
      return launch<Kind::kGeluTanh>(context, args);
    case Kind::kSoftCap:
      return launch<Kind::kSoftCap>(context, args);
  }
}

}  // namespace llmpq::cuda
