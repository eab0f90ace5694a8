// Weights as row-major numbers of one type, a piece of rows at a time: what cuBLAS multiplies.
#pragma once

#include "kernels/cuda/context.cuh"

namespace llmpq::cuda {

/// Rows [row, row + count) of a matrix as kBf16, kF16 or kF32, row-major [count, groups * 128] with
/// zeros past k: q * scale in f32, then rounded to `type`; 16-bit weights are converted. `row` must
/// be a multiple of 16.
void dequantize(StreamContext&, const Matrix& w, int64_t row, int64_t count, DType type, void* to);

}  // namespace llmpq::cuda
