// Rows out of tables, and sums of whole buffers: embed, gather_rows, add. The same bits as the CPU.
#include "kernels/cuda/floats.cuh"
#include "kernels/cuda/launch.cuh"

namespace llmpq::cuda {
namespace {

constexpr int kThreads = 256;

/// A block takes kThreads packs of one row: grid (rows, pieces).
dim3 row_grid(int64_t rows, int64_t width, int n) {
  return {static_cast<unsigned>(rows), static_cast<unsigned>(divide_up(width, kThreads * n))};
}
/// Where this thread's pack begins within its row.
template <int n>
__device__ int64_t place_in_row() {
  return (static_cast<int64_t>(blockIdx.y) * kThreads + threadIdx.x) * n;
}

template <typename T, int n>
__global__ void __launch_bounds__(kThreads) embed_kernel(EmbedArgs args) {
  begin_kernel();
  const int64_t t = blockIdx.x, i = place_in_row<n>();
  if (i >= args.hidden) return;
  const auto row = load<n>(static_cast<const T*>(args.table) + args.ids[t] * args.hidden + i);
  Floats<n> y;
#pragma unroll
  for (int k = 0; k < n; ++k) y.at[k] = __fmul_rn(widened(row.at[k]), args.scale);
  if (args.positions != nullptr) {
    const int64_t position = args.position[t] + args.position_offset;
    const auto more = load<n>(static_cast<const T*>(args.positions) + position * args.hidden + i);
#pragma unroll
    for (int k = 0; k < n; ++k) y.at[k] += widened(more.at[k]);
  }
  store(args.y + t * args.hidden + i, y);
}

template <typename T>
void launch_embed(StreamContext& context, const EmbedArgs& args) {
  const int n = packs_of_four(args.hidden, args.table, args.positions, args.y) ? 4 : 1;
  launch_kernel(context, "embed", {row_grid(args.tokens, args.hidden, n), kThreads},
                n == 4 ? embed_kernel<T, 4> : embed_kernel<T, 1>, args);
}

template <int n>
__global__ void __launch_bounds__(kThreads) gather_kernel(GatherRowsArgs args) {
  begin_kernel();
  const int64_t t = blockIdx.x, i = place_in_row<n>();
  if (i >= args.width) return;
  store(args.y + t * args.width + i, load<n>(args.x + args.index[t] * args.width + i));
}

template <int n>
__global__ void __launch_bounds__(kThreads) add_rows_kernel(AddRowsArgs args) {
  begin_kernel();
  const int64_t t = blockIdx.x, i = place_in_row<n>();
  if (i >= args.width) return;
  float* x = args.x + args.index[t] * args.width + i;
  const float weight = args.weight[t];
  Floats<n> sum = load<n>(x);
  const Floats<n> add = load<n>(args.add + t * args.width + i);
#pragma unroll
  for (int k = 0; k < n; ++k) sum.at[k] = fmaf(weight, add.at[k], sum.at[k]);
  store(x, sum);
}

/// The last pack may be short.
template <int n>
__global__ void __launch_bounds__(kThreads) add_kernel(AddArgs args) {
  begin_kernel();
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * n;
  if (i + n > args.count) {
    for (int64_t j = i; j < args.count; ++j) args.x[j] += args.add[j];
    return;
  }
  Floats<n> x = load<n>(args.x + i);
  const Floats<n> add = load<n>(args.add + i);
#pragma unroll
  for (int k = 0; k < n; ++k) x.at[k] += add.at[k];
  store(args.x + i, x);
}

}  // namespace

void embed(StreamContext& context, const EmbedArgs& args) {
  if (args.tokens <= 0 || args.hidden <= 0) return;
  switch (args.type) {
    case DType::kBf16:
      return launch_embed<Bf16>(context, args);
    case DType::kF16:
      return launch_embed<F16>(context, args);
    case DType::kF32:
      return launch_embed<float>(context, args);
    default:
      raise(kInternal, "embed: a table of a type that no embedding has");
  }
}

void gather_rows(StreamContext& context, const GatherRowsArgs& args) {
  if (args.rows <= 0 || args.width <= 0) return;
  const int n = packs_of_four(args.width, args.x, args.y) ? 4 : 1;
  launch_kernel(context, "gather_rows", {row_grid(args.rows, args.width, n), kThreads},
                n == 4 ? gather_kernel<4> : gather_kernel<1>, args);
}

void add_rows(StreamContext& context, const AddRowsArgs& args) {
  if (args.rows <= 0 || args.width <= 0) return;
  const int n = packs_of_four(args.width, args.x, args.add) ? 4 : 1;
  launch_kernel(context, "add_rows", {row_grid(args.rows, args.width, n), kThreads},
                n == 4 ? add_rows_kernel<4> : add_rows_kernel<1>, args);
}

void add(StreamContext& context, const AddArgs& args) {
  if (args.count <= 0) return;
  const int n = packs_of_four(4, args.x, args.add) ? 4 : 1;
  const auto blocks = static_cast<unsigned>(divide_up(args.count, kThreads * n));
  launch_kernel(context, "add", {blocks, kThreads}, n == 4 ? add_kernel<4> : add_kernel<1>, args);
}

}  // namespace llmpq::cuda
