#include "kernels/cuda/matmul_few_rows.cuh"

#include "kernels/cuda/matmul_few_rows_kernel.cuh"
#include "kernels/cuda/round_inputs.cuh"
#include "kernels/cuda/scratch.hpp"

namespace llmpq::cuda {

extern template void launch_few_rows<__nv_bfloat16>(StreamContext&, Format, const FewRowsTask&);
extern template void launch_few_rows<__half>(StreamContext&, Format, const FewRowsTask&);

namespace {

/// Warps that an SM should have: with 4 KiB each on their way, twice what hides the latency.
constexpr int64_t kWarpsPerSm = 16;
/// A slice shorter than this would move more sums than weights.
constexpr int64_t kLeastGroups = 4;
/// Of the sums of one slice and tile of outputs, for kMostFewRows tokens.
constexpr int64_t kPartialBytes = kTileOutputs * kMostFewRows * 4;

/// All kernels of the module are compiled for the same architectures.
__global__ void probe_kernel() {}

/// As many slices as keep every SM busy: by the matrix and the device alone, so that a row is
/// always added up in the same order.
int64_t count_slices(const Matrix& w, int64_t sets, int64_t sms) {
  const int64_t tiles = tiles_of(w.n), counter = 4;
  const int64_t wanted = (kWarpsPerSm * sms + sets / 2) / sets;
  const int64_t most = groups_of(w.k) / kLeastGroups;
  const int64_t fitting =
      (linear_piece_bytes(w.k, w.n * w.k, false) / tiles - counter) / kPartialBytes;
  return std::max<int64_t>(1, std::min({wanted, most, fitting}));
}

}  // namespace

bool has_few_rows(Format format, DType inputs) {
  const bool bf16 = inputs == DType::kBf16;
  if (is_16bit(format) && format != (bf16 ? Format::kBf16 : Format::kF16)) return false;
  return code_version(reinterpret_cast<const void*>(probe_kernel)) >= (bf16 ? 80 : 75);
}

void matmul_few_rows(StreamContext& context, const LinearArgs& args, DType inputs) {
  const Matrix& w = *args.w;
  const int64_t groups = groups_of(w.k), tiles = tiles_of(w.n);
  const int64_t sets = divide_up(tiles, tiles_per_warp(w.format));
  const int64_t slices = count_slices(w, sets, context.session->sms);
  const int64_t token_tiles = divide_up(args.tokens, 8), nk = w.n * w.k;
  Scratch scratch(context, linear_scratch_bytes(args.tokens, w.k, nk, false));
  auto* const x = scratch.take<uint4>(token_tiles * groups * 128);
  auto* const rest = scratch.take<std::byte>(linear_piece_bytes(w.k, nk, false));
  auto* const counters =
      reinterpret_cast<unsigned*>(rest + slices * tiles * token_tiles * kPartialBytes / 8);

  FewRowsTask task{};
  task.weights = w.packed.data();
  task.x = x;
  task.n = w.n;
  task.row_halves = row_halves(w.k);
  task.groups = static_cast<int>(groups);
  task.tiles = static_cast<int>(tiles);
  task.sets = static_cast<int>(sets);
  task.slices = static_cast<int>(slices);
  task.tokens = static_cast<int>(args.tokens);
  task.token_tiles = static_cast<int>(token_tiles);
  task.partials = reinterpret_cast<float4*>(rest);
  task.counters = counters;
  task.bias = args.bias;
  task.y = args.y;
  task.y_stride = args.y_stride;
  const Counters cleared{slices > 1 ? counters : nullptr, slices > 1 ? sets : 0};
  round_to_fragments(context, args.x, args.tokens, w.k, inputs, x, cleared);
  if (inputs == DType::kBf16) return launch_few_rows<__nv_bfloat16>(context, w.format, task);
  launch_few_rows<__half>(context, w.format, task);
}

}  // namespace llmpq::cuda
