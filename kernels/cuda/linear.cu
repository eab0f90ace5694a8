// Which kernels a product takes: integer weights one of kProductKernels, by the session's choice;
// everything else goes through cuBLAS. Dequantized weights exist a piece of rows at a time.
#include "kernels/cuda/dequantize.cuh"
#include "kernels/cuda/layout.hpp"
#include "kernels/cuda/matmul_cublas.cuh"
#include "kernels/cuda/matmul_few_rows.cuh"
#include "kernels/cuda/matmul_wgmma.cuh"
#include "kernels/cuda/round_inputs.cuh"
#include "kernels/cuda/scratch.hpp"

namespace llmpq::cuda {
namespace {

/// What x and the weights are multiplied as. kF32 and kInt8 are exact but for f32's own rounding,
/// and slow: they are there to be compared with the CPU. GPUs before 8.0 have no product of bf16:
/// there kBf16 means f16, which rounds less but ends at 65504.
DType product_type(ActivationType activation, int compute_capability) {
  if (activation == ActivationType::kF32 || activation == ActivationType::kInt8) return DType::kF32;
  const bool bf16 = activation == ActivationType::kBf16 && compute_capability >= 80;
  return bf16 ? DType::kBf16 : DType::kF16;
}

bool is_stored_as(Format format, DType type) {
  return (format == Format::kBf16 && type == DType::kBf16) ||
         (format == Format::kF16 && type == DType::kF16);
}

InputRows take_inputs(StreamContext& context, const LinearArgs& args, DType type, void* to) {
  if (type != DType::kF32) return rounded_inputs(context, args, type, to);
  const bool through_int8 = args.activation == ActivationType::kInt8;
  copy_to_rows(context, args.x, args.tokens, args.w->k, through_int8, static_cast<float*>(to));
  return {to, groups_of(args.w->k) * kGroup};
}

void multiply_by_pieces(StreamContext& context, const Matrix& w, GemmTask task, void* piece,
                        int64_t piece_bytes) {
  task.w_stride = groups_of(w.k) * kGroup;
  const int64_t row_bytes = task.w_stride * size_of(task.type);
  const int64_t rows = piece_bytes / row_bytes / kTileOutputs * kTileOutputs;
  float* const y = task.y;
  task.w = piece;
  for (int64_t row = 0; row < w.n; row += rows) {
    task.n = std::min(rows, w.n - row);
    task.y = y + row;
    dequantize(context, w, row, task.n, task.type, piece);
    multiply(context, task);
  }
}

void linear_by_cublas(StreamContext& context, const LinearArgs& args, DType type) {
  const Matrix& w = *args.w;
  const bool exact = type == DType::kF32;
  const int64_t padded = groups_of(w.k) * kGroup, nk = w.n * w.k;
  const int64_t piece_bytes = linear_piece_bytes(w.k, nk, exact);
  Scratch scratch(context, linear_scratch_bytes(args.tokens, w.k, nk, exact));
  auto* const rows = scratch.take<std::byte>(args.tokens * padded * size_of(type));
  auto* const piece = scratch.take<std::byte>(piece_bytes);
  const InputRows inputs = take_inputs(context, args, type, rows);
  GemmTask task{};
  task.type = type;
  task.n = w.n;
  task.k = inputs.stride;  // weights have zeros where inputs do
  task.x = inputs.x;
  task.x_stride = inputs.stride;
  task.tokens = args.tokens;
  task.y = args.y;
  task.y_stride = args.y_stride;
  if (is_stored_as(w.format, type)) {
    task.w = w.packed.data();
    task.k = task.w_stride =
        row_halves(w.k);  // its zeros come with it: cuBLAS likes multiples of 8
    multiply(context, task);
  } else {
    multiply_by_pieces(context, w, task, piece, piece_bytes);
  }
  if (args.bias != nullptr) add_bias(context, args.bias, args.tokens, w.n, args.y, args.y_stride);
}

ProductKernel kernel_of(const StreamContext& context, const LinearArgs& args) {
  const Matrix& w = *args.w;
  return kernel_for(context.session->products, {w.format, w.n, w.k, args.tokens},
                    product_kernels(context, args.activation));
}

bool is_wgmma(ProductKernel kernel) {
  return kernel == ProductKernel::kWgmma || kernel == ProductKernel::kWgmma128 ||
         kernel == ProductKernel::kWgmma256;
}

}  // namespace

ProductKernelSet product_kernels(const StreamContext& context, ActivationType activation) {
  ProductKernelSet there;
  there.add(ProductKernel::kDequantized);
  const DType type = product_type(activation, context.session->compute_capability);
  if (type == DType::kF32) return there;
  using enum ProductKernel;
  if (has_few_rows(context, type))
    for (const auto kernel : {kFewRows, kFewRowsAhead, kFewRowsWide, kFewRowsWideAhead})
      there.add(kernel);
  if (has_wgmma(context))
    for (const auto kernel : {kWgmma, kWgmma128, kWgmma256}) there.add(kernel);
  return there;
}

/// Hopper's kernels want the inputs in an order of their own; rows of vectors all others.
DType input_type(const StreamContext& context, const LinearArgs& args) {
  const Matrix& w = *args.w;
  if (w.k % 8 != 0 || (!is_16bit(w.format) && is_wgmma(kernel_of(context, args))))
    return DType::kF32;
  return product_type(args.activation, context.session->compute_capability);
}

void linear(StreamContext& context, const LinearArgs& args) {
  if (args.tokens == 0) return;
  const Matrix& w = *args.w;
  const DType type = product_type(args.activation, context.session->compute_capability);
  if (args.rounded.type != DType::kF32 && args.rounded.type != input_type(context, args))
    raise(kInternal, "linear: x is rounded to %s, which this product does not take",
          name(args.rounded.type).data());
  if (is_16bit(w.format)) return linear_by_cublas(context, args, type);
  switch (kernel_of(context, args)) {
    case ProductKernel::kFewRows:
      return matmul_few_rows(context, args, type, {FewRowsBlocks::kUsual, false});
    case ProductKernel::kFewRowsAhead:
      return matmul_few_rows(context, args, type, {FewRowsBlocks::kUsual, true});
    case ProductKernel::kFewRowsWide:
      return matmul_few_rows(context, args, type, {FewRowsBlocks::kWide, false});
    case ProductKernel::kFewRowsWideAhead:
      return matmul_few_rows(context, args, type, {FewRowsBlocks::kWide, true});
    case ProductKernel::kWgmma:
      return matmul_wgmma(context, args, type, WgmmaTokens::kGuessed);
    case ProductKernel::kWgmma128:
      return matmul_wgmma(context, args, type, WgmmaTokens::k128);
    case ProductKernel::kWgmma256:
      return matmul_wgmma(context, args, type, WgmmaTokens::k256);
    case ProductKernel::kDequantized:
      return linear_by_cublas(context, args, type);
  }
}

}  // namespace llmpq::cuda
