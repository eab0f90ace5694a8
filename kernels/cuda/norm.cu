// RMS norm and layer norm with the residual addition before them: one block a row. The number of
// threads, and with it the order of the sums, depends on `hidden` alone. Where the CPU adds 16
// lanes, the block adds thread by thread and then a tree: a few ulp apart.
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/floats.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/rounding.cuh"

namespace llmpq::cuda {
namespace {

/// Packs of a row that a thread keeps in registers; it reads more of them again in each pass.
constexpr int kKept = 4;
constexpr int kHeadWarps = 4;      // heads of a block
constexpr int kMostThreads = 512;  // with more, sm_80 has too few registers for each

/// The packs of a row of x that belong to this thread: every blockDim.x-th.
template <int n>
struct ThreadPacks {
  float* x;
  int64_t hidden;
  Floats<n> kept[kKept];

  __device__ int64_t place(int64_t k) const {
    return (static_cast<int64_t>(threadIdx.x) + k * blockDim.x) * n;
  }
  /// Loads the kept packs. x += add first, if add is given.
  __device__ void read(const float* add) {
#pragma unroll
    for (int k = 0; k < kKept; ++k)
      if (place(k) < hidden) kept[k] = load<n>(x + place(k));
    if (add == nullptr) return;
    each([&](Floats<n>& values, int64_t i) {
      const Floats<n> more = load<n>(add + i);
#pragma unroll
      for (int k = 0; k < n; ++k) values.at[k] += more.at[k];
      store(x + i, values);
    });
  }
  /// visit(pack, where it begins)
  template <typename Visit>
  __device__ void each(Visit visit) {
#pragma unroll
    for (int k = 0; k < kKept; ++k)
      if (place(k) < hidden) visit(kept[k], place(k));
    for (int64_t i = place(kKept); i < hidden; i += static_cast<int64_t>(blockDim.x) * n) {
      Floats<n> values = load<n>(x + i);
      visit(values, i);
    }
  }
  /// The row's sum of (x - center)^2, or of x - center.
  template <bool squared>
  __device__ float sum(float center) {
    float total = 0.0f;
    each([&](const Floats<n>& values, int64_t) {
#pragma unroll
      for (int k = 0; k < n; ++k) {
        const float value = values.at[k] - center;
        total = squared ? fmaf(value, value, total) : total + value;
      }
    });
    return block_sum(total);
  }
};

template <int n>
__global__ void __launch_bounds__(kMostThreads) norm_kernel(NormArgs args) {
  begin_kernel();
  const int64_t first = static_cast<int64_t>(blockIdx.x) * args.hidden;
  ThreadPacks<n> row;
  row.x = args.x + first;
  row.hidden = args.hidden;
  row.read(args.add == nullptr ? nullptr : args.add + first);
  const float count = static_cast<float>(args.hidden);
  const float mean =
      args.kind == NormArgs::Kind::kLayer ? row.template sum<false>(0.0f) / count : 0.0f;
  const float factor = 1.0f / sqrtf(row.template sum<true>(mean) / count + args.eps);
  row.each([&](const Floats<n>& values, int64_t i) {
    const Floats<n> weight = load<n>(args.weight + i);
    Floats<n> bias{};
    if (args.bias != nullptr) bias = load<n>(args.bias + i);
    Floats<n> y;
#pragma unroll
    for (int k = 0; k < n; ++k)
      y.at[k] = fmaf((values.at[k] - mean) * factor, weight.at[k], bias.at[k]);
    store(args.y, args.rounded, first + i, y);
  });
}

/// A warp for each head: grid (tokens, pieces of the token's heads).
__global__ void __launch_bounds__(kHeadWarps* kWarp) head_norm_kernel(HeadNormArgs args) {
  begin_kernel();
  const int64_t head = static_cast<int64_t>(blockIdx.y) * kHeadWarps + warp_id();
  if (head >= args.heads) return;
  float* x = args.x + static_cast<int64_t>(blockIdx.x) * args.stride + head * args.head_dim;
  float squares = 0.0f;
  for (int64_t i = lane_id(); i < args.head_dim; i += kWarp) squares = fmaf(x[i], x[i], squares);
  squares = reduce_warp(squares, Sum{});
  const float factor = 1.0f / sqrtf(squares / static_cast<float>(args.head_dim) + args.eps);
  for (int64_t i = lane_id(); i < args.head_dim; i += kWarp)
    x[i] = (x[i] * factor) * args.weight[i];
}

}  // namespace

void head_norm(StreamContext& context, const HeadNormArgs& args) {
  if (args.tokens <= 0 || args.heads <= 0 || args.head_dim <= 0) return;
  const dim3 grid(static_cast<unsigned>(args.tokens),
                  static_cast<unsigned>(divide_up(args.heads, kHeadWarps)));
  launch_kernel(context, "head_norm", {grid, kHeadWarps * kWarp}, head_norm_kernel, args);
}

void norm(StreamContext& context, const NormArgs& args) {
  if (args.tokens <= 0 || args.hidden <= 0) return;
  const bool packs = packs_of_four(args.hidden, args.x, args.add, args.weight, args.bias, args.y);
  const int64_t in_row = divide_up(args.hidden, packs ? 4 : 1);
  const int64_t warps = divide_up(divide_up(in_row, kKept), kWarp);
  const int64_t threads = warps * kWarp < kMostThreads ? warps * kWarp : kMostThreads;
  launch_kernel(context, "norm",
                {static_cast<unsigned>(args.tokens), static_cast<unsigned>(threads)},
                packs ? norm_kernel<4> : norm_kernel<1>, args);
}

}  // namespace llmpq::cuda
