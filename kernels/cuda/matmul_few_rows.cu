#include "kernels/cuda/matmul_few_rows.cuh"

#include "kernels/cuda/matmul_few_rows_launch.cuh"
#include "kernels/cuda/round_inputs.cuh"
#include "kernels/cuda/scratch.hpp"

namespace llmpq::cuda {

extern template void launch_few_rows<__nv_bfloat16>(StreamContext&, Format, FewRowsBlocks,
                                                    const FewRowsTask&, const FewRowsLimits&);
extern template void launch_few_rows<__half>(StreamContext&, Format, FewRowsBlocks,
                                             const FewRowsTask&, const FewRowsLimits&);

bool has_few_rows(const StreamContext& context, DType inputs) {
  return context.session->code_version >= (inputs == DType::kBf16 ? 80 : 75);
}

void matmul_few_rows(StreamContext& context, const LinearArgs& args, DType inputs, FewRowsWay way) {
  const Matrix& w = *args.w;
  const int64_t groups = groups_of(w.k), nk = w.n * w.k;
  const int64_t token_tiles = divide_up(args.tokens, 8);
  Scratch scratch(context, linear_scratch_bytes(args.tokens, w.k, nk, false));
  auto* const rows = scratch.take<std::byte>(args.tokens * groups * kGroup * 2);
  const int64_t partial_bytes = linear_piece_bytes(w.k, nk, false);
  const FewRowsLimits limits{partial_bytes, kCounters};
  FewRowsTask task{};
  task.partials = reinterpret_cast<float4*>(scratch.take<std::byte>(partial_bytes));
  task.counters = context.counters;
  task.ahead = way.ahead ? 1 : 0;
  task.weights = w.packed.data();
  task.n = w.n;
  task.groups = static_cast<int>(groups);
  task.tiles = static_cast<int>(tiles_of(w.n));
  task.tokens = static_cast<int>(args.tokens);
  task.token_tiles = static_cast<int>(token_tiles);
  task.bias = args.bias;
  task.y = args.y;
  task.y_stride = args.y_stride;
  const InputRows x = rounded_inputs(context, args, inputs, rows);
  task.x = static_cast<const uint4*>(x.x);
  task.x_eights = static_cast<int>(x.stride / 8);
  if (inputs == DType::kBf16)
    return launch_few_rows<__nv_bfloat16>(context, w.format, way.blocks, task, limits);
  launch_few_rows<__half>(context, w.format, way.blocks, task, limits);
}

}  // namespace llmpq::cuda
