#include "kernels/cuda/matmul_wgmma.cuh"

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/matmul_wgmma_kernel.cuh"
#include "kernels/cuda/round_inputs.cuh"
#include "kernels/cuda/scratch.hpp"

namespace llmpq::cuda {
namespace {

constexpr int kThreads = 256;
/// Of a grid's second axis.
constexpr int64_t kMostBlocks = 65535;

/// y = the slices' results, in their order, and the bias.
__global__ void sum_slices_kernel(const float* parts, const WgmmaTask task) {
  begin_kernel();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= task.n) return;
  const float bias = task.bias != nullptr ? task.bias[i] : 0.0f;
  for (int token = static_cast<int>(blockIdx.y); token < task.tokens; token += gridDim.y) {
    float sum = 0.0f;
    for (int slice = 0; slice < task.slices; ++slice)
      sum += parts[slice * task.slice_stride + token * task.n + i];
    task.y[token * task.y_stride + i] = sum + bias;
  }
}

void sum_slices(StreamContext& context, const float* parts, const WgmmaTask& task) {
  const dim3 blocks(static_cast<unsigned>(divide_up(task.n, kThreads)),
                    static_cast<unsigned>(std::min<int64_t>(task.tokens, kMostBlocks)));
  launch_kernel(context, "sum_slices_kernel", {blocks, kThreads}, sum_slices_kernel, parts, task);
}

std::span<const int> tokens_of_pieces(WgmmaTokens which) {
  const std::span all(kPieceTokens);
  if (which == WgmmaTokens::kGuessed) return all;
  return which == WgmmaTokens::k256 ? all.first(1) : all.last(1);
}

template <Format kFormat, typename T>
void launch(StreamContext& context, int tokens_of_piece, const WgmmaTask& task) {
  if (tokens_of_piece == 256)
    launch_wgmma<kFormat, T, WgmmaShape<256, kClusterBlocks, 1>>(context, task);
  else
    launch_wgmma<kFormat, T, WgmmaShape<128, kClusterBlocks, 1>>(context, task);
}

template <typename T>
void launch(StreamContext& context, Format format, int tokens_of_piece, const WgmmaTask& task) {
  if (format == Format::kW8) return launch<Format::kW8, T>(context, tokens_of_piece, task);
  if (format == Format::kW4) return launch<Format::kW4, T>(context, tokens_of_piece, task);
  launch<Format::kW3, T>(context, tokens_of_piece, task);
}

}  // namespace

bool has_wgmma(const StreamContext& context) { return context.session->compute_capability == 90; }

void matmul_wgmma(StreamContext& context, const LinearArgs& args, DType inputs,
                  WgmmaTokens of_piece) {
  const Matrix& w = *args.w;
  const int64_t groups = groups_of(w.k), tokens = args.tokens, nk = w.n * w.k;
  const int64_t part_bytes = linear_piece_bytes(w.k, nk, false);
  Scratch scratch(context, linear_scratch_bytes(tokens, w.k, nk, false));
  auto* const x = scratch.take<std::byte>(divide_up(tokens, 8) * 8 * groups * kGroup * 2);
  auto* const parts = reinterpret_cast<float*>(scratch.take<std::byte>(part_bytes));

  WgmmaTask task{};
  task.weights = w.packed.data();
  task.x = x;
  task.n = w.n;
  task.groups = static_cast<int>(groups);
  task.tile_rows = static_cast<int>(tiles_of(w.n));
  task.tokens = static_cast<int>(tokens);
  const WgmmaCut cut =
      choose_cut({task.tile_rows, task.groups, task.tokens, {}}, context.session->sms,
                 part_bytes / (tokens * w.n * 4), tokens_of_pieces(of_piece));
  task.slices = cut.slices;
  task.slice_stride = tokens * w.n;
  WgmmaTask whole = task, sliced = task;
  whole.bias = args.bias, whole.y = args.y, whole.y_stride = args.y_stride;
  sliced.y = parts, sliced.y_stride = w.n;

  round_to_swizzled(context, args.x, tokens, w.k, inputs, x);
  const WgmmaTask& product = cut.slices == 1 ? whole : sliced;
  if (inputs == DType::kBf16)
    launch<__nv_bfloat16>(context, w.format, cut.tokens, product);
  else
    launch<__half>(context, w.format, cut.tokens, product);
  if (cut.slices > 1) sum_slices(context, parts, whole);
}

}  // namespace llmpq::cuda
