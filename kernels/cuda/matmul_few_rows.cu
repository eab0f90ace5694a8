#include "kernels/cuda/matmul_few_rows.cuh"

#include "kernels/cuda/matmul_few_rows_launch.cuh"
#include "kernels/cuda/round_inputs.cuh"
#include "kernels/cuda/scratch.hpp"

namespace llmpq::cuda {

extern template void launch_few_rows<__nv_bfloat16>(StreamContext&, Format, const FewRowsTask&,
                                                    const FewRowsRoom&);
extern template void launch_few_rows<__half>(StreamContext&, Format, const FewRowsTask&,
                                             const FewRowsRoom&);

namespace {

/// All kernels of the module are compiled for the same architectures.
__global__ void probe_kernel() {}

}  // namespace

bool has_few_rows(DType inputs) {
  static KernelFactsOfDevices all_facts;
  const bool bf16 = inputs == DType::kBf16;
  int device = 0;
  CHECK_CUDA(cudaGetDevice(&device));
  const auto* const probe = reinterpret_cast<const void*>(probe_kernel);
  return all_facts.of(probe, device).version >= (bf16 ? 80 : 75);
}

void matmul_few_rows(StreamContext& context, const LinearArgs& args, DType inputs) {
  const Matrix& w = *args.w;
  const int64_t groups = groups_of(w.k), nk = w.n * w.k;
  const int64_t token_tiles = divide_up(args.tokens, 8);
  Scratch scratch(context, linear_scratch_bytes(args.tokens, w.k, nk, false));
  auto* const rounded = scratch.take<uint4>(token_tiles * groups * 128);
  const int64_t partial_bytes = linear_piece_bytes(w.k, nk, false);
  const FewRowsRoom room{scratch.take<std::byte>(partial_bytes), partial_bytes, context.counters,
                         kCounters};
  FewRowsTask task{};
  task.weights = w.packed.data();
  task.x = rounded;
  task.n = w.n;
  task.groups = static_cast<int>(groups);
  task.tiles = static_cast<int>(tiles_of(w.n));
  task.tokens = static_cast<int>(args.tokens);
  task.token_tiles = static_cast<int>(token_tiles);
  task.bias = args.bias;
  task.y = args.y;
  task.y_stride = args.y_stride;
  round_to_fragments(context, args.x, args.tokens, w.k, inputs, rounded);
  if (inputs == DType::kBf16) return launch_few_rows<__nv_bfloat16>(context, w.format, task, room);
  launch_few_rows<__half>(context, w.format, task, room);
}

}  // namespace llmpq::cuda
