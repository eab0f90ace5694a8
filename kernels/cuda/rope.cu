// Rotary position embedding, in place: a thread rotates one pack of pairs. The same bits as the
// CPU.
#include "kernels/cuda/floats.cuh"
#include "kernels/cuda/launch.cuh"

namespace llmpq::cuda {
namespace {

constexpr int kThreads = 256;

/// `packs`: of n pairs, in a head. grid (tokens, pieces of the token's heads)
template <int n>
__global__ void __launch_bounds__(kThreads) rope_kernel(RopeArgs args, int packs) {
  begin_kernel();
  const int64_t t = blockIdx.x, half = args.rotary / 2;
  const int item = static_cast<int>(blockIdx.y * kThreads + threadIdx.x);
  const int head = item / packs, i = item % packs * n;
  if (head >= args.heads) return;
  const Floats<n> cosine = load<n>(args.cosine + args.position[t] * half + i);
  const Floats<n> sine = load<n>(args.sine + args.position[t] * half + i);
  float* x = args.x + t * args.stride + head * args.head_dim + i;
  Floats<n> a = load<n>(x), b = load<n>(x + half);
#pragma unroll
  for (int k = 0; k < n; ++k) {
    const float first = a.at[k], second = b.at[k];
    a.at[k] = fmaf(first, cosine.at[k], -__fmul_rn(second, sine.at[k]));
    b.at[k] = fmaf(second, cosine.at[k], __fmul_rn(first, sine.at[k]));
  }
  store(x, a);
  store(x + half, b);
}

}  // namespace

void rope(StreamContext& context, const RopeArgs& args) {
  const int64_t half = args.rotary / 2;
  if (args.tokens <= 0 || half <= 0 || args.heads <= 0) return;
  const bool fours = args.stride % 4 == 0 && args.head_dim % 4 == 0 &&
                     packs_of_four(half, args.x, args.cosine, args.sine);
  const int64_t packs = half / (fours ? 4 : 1);
  const dim3 grid(static_cast<unsigned>(args.tokens),
                  static_cast<unsigned>(divide_up(args.heads * packs, kThreads)));
  launch_kernel(context, "rope", {grid, kThreads}, fours ? rope_kernel<4> : rope_kernel<1>, args,
                static_cast<int>(packs));
}

}  // namespace llmpq::cuda
