// y = x W^T by cuBLAS, for row-major numbers of one type.
#pragma once

#include "kernels/cuda/context.cuh"

namespace llmpq::cuda {

/// y[t, :] = sum over k of x[t, k] w[:, k], in f32. kBf16 and kF16 use tensor cores; kF32 does not,
/// nor anything else that rounds more than f32 does. All strides in elements.
struct GemmTask {
  DType type;     ///< of x and w
  const void* w;  ///< [n, k]
  int64_t n, k, w_stride;
  const void* x;  ///< [tokens, k]
  int64_t tokens, x_stride;
  float* y;  ///< [tokens, n]
  int64_t y_stride;
};
void multiply(StreamContext&, const GemmTask& task);

/// y[t, i] += bias[i].
void add_bias(StreamContext&, const float* bias, int64_t tokens, int64_t n, float* y,
              int64_t y_stride);

}  // namespace llmpq::cuda
