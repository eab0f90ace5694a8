// cuBLAS as the module uses it: a product of a transposed matrix with another, as a plain loop.
#include <cublas_v2.h>

#include <cstdint>
#include <vector>

#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "runtime.hpp"

struct cublasContext {
  cudaStream_t stream = nullptr;
};

namespace {

/// `count` columns of `rows` elements as floats.
std::vector<float> widened(const void* from, cudaDataType_t type, int64_t rows, int64_t count,
                           int64_t stride) {
  std::vector<float> result(static_cast<size_t>(rows * count));
  for (int64_t column = 0; column < count; ++column)
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t at = column * stride + row;
      float& to = result[static_cast<size_t>(column * rows + row)];
      if (type == CUDA_R_32F) to = static_cast<const float*>(from)[at];
      if (type == CUDA_R_16BF) to = static_cast<const __nv_bfloat16*>(from)[at];
      if (type == CUDA_R_16F) to = static_cast<const __half*>(from)[at];
    }
  return result;
}

/// Eight sums side by side, as compilers can vectorize.
float dot(const float* a, const float* b, int64_t count) {
  constexpr int kSums = 8;
  float sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (int s = 0; s < kSums; ++s) sums[s] += a[i + s] * b[i + s];
  for (; i < count; ++i) sums[0] += a[i] * b[i];
  float total = 0;
  for (const float sum : sums) total += sum;
  return total;
}

}  // namespace

const char* cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
  }
  return "a status that does not exist";
}
cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace(cublasHandle_t, void*, size_t) { return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t a_operation,
                            cublasOperation_t b_operation, int m, int n, int k, const void* alpha,
                            const void* a, cudaDataType_t a_type, int a_stride, const void* b,
                            cudaDataType_t b_type, int b_stride, const void* beta, void* c,
                            cudaDataType_t c_type, int c_stride, cublasComputeType_t compute,
                            cublasGemmAlgo_t) {
  const bool exact = compute == CUBLAS_COMPUTE_32F_PEDANTIC;
  if (a_operation != CUBLAS_OP_T || b_operation != CUBLAS_OP_N || m < 0 || n < 0 || k < 0 ||
      a_stride < k || b_stride < k || c_stride < m || a_type != b_type || c_type != CUDA_R_32F ||
      *static_cast<const float*>(alpha) != 1 || *static_cast<const float*>(beta) != 0 ||
      exact != (a_type == CUDA_R_32F))
    return CUBLAS_STATUS_INVALID_VALUE;
  const std::lock_guard lock(llmpq::emulated::runtime_lock());
  const cudaError_t status = llmpq::emulated::enqueue(handle->stream, [=] {
    const std::vector<float> left = widened(a, a_type, k, m, a_stride);
    const std::vector<float> right = widened(b, b_type, k, n, b_stride);
    for (int64_t j = 0; j < n; ++j)
      for (int64_t i = 0; i < m; ++i)
        static_cast<float*>(c)[j * c_stride + i] =
            dot(left.data() + i * k, right.data() + j * k, k);
  });
  return status == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
