#include "kernels/cuda/matmul_cublas.cuh"

#include <algorithm>

#include "kernels/cuda/launch.cuh"

namespace llmpq::cuda {
namespace {

constexpr int kThreads = 256;
/// Of a grid's second axis.
constexpr int64_t kMostBlocks = 65535;

cudaDataType_t cuda_type(DType type) {
  return type == DType::kBf16 ? CUDA_R_16BF : type == DType::kF16 ? CUDA_R_16F : CUDA_R_32F;
}

__global__ void bias_kernel(const float* bias, int64_t tokens, int64_t n, float* y,
                            int64_t y_stride) {
  begin_kernel();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n) return;
  const float value = bias[i];
  for (int64_t token = blockIdx.y; token < tokens; token += gridDim.y)
    y[token * y_stride + i] += value;
}

}  // namespace

/// cuBLAS counts column by column: our y is its [n, tokens], W is [k, n] to be transposed.
void multiply(StreamContext& context, const GemmTask& task) {
  const float one = 1.0f, zero = 0.0f;
  const cudaDataType_t type = cuda_type(task.type);
  const auto size = [](int64_t value) { return static_cast<int>(value); };
  const cublasStatus_t status =
      cublasGemmEx(context.cublas, CUBLAS_OP_T, CUBLAS_OP_N, size(task.n), size(task.tokens),
                   size(task.k), &one, task.w, type, size(task.w_stride), task.x, type,
                   size(task.x_stride), &zero, task.y, CUDA_R_32F, size(task.y_stride),
                   task.type == DType::kF32 ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_32F,
                   CUBLAS_GEMM_DEFAULT);
  if (status == CUBLAS_STATUS_SUCCESS) return;
  check_stream(context.stream);
  raise(kGpu, "cublasGemmEx for [%d, %d] times %d tokens: %s", size(task.n), size(task.k),
        size(task.tokens), cublasGetStatusString(status));
}

void add_bias(StreamContext& context, const float* bias, int64_t tokens, int64_t n, float* y,
              int64_t y_stride) {
  const dim3 blocks(static_cast<unsigned>(divide_up(n, kThreads)),
                    static_cast<unsigned>(std::min(tokens, kMostBlocks)));
  launch_kernel(context, "bias_kernel", {blocks, kThreads}, bias_kernel, bias, tokens, n, y,
                y_stride);
}

}  // namespace llmpq::cuda
