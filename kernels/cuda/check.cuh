// Inside the module: errors as exceptions with a code and a sentence, turned into a Failure at the
// border (guarded), and the checks of CUDA calls and kernel launches.
#pragma once

#include <cuda_runtime.h>

#include <cstdarg>
#include <cstdio>
#include <exception>

#include "kernels/cuda/module.hpp"

namespace llmpq::cuda {

/// Exit codes of kernels/check.hpp that the module uses; that header's libfmt stays out of nvcc.
inline constexpr int kInternal = 1, kNoPlan = 3, kModel = 4, kGpu = 7, kMpi = 8;

struct ModuleError {
  Failure failure;
};

[[noreturn]] [[gnu::format(printf, 2, 3)]] inline void raise(int code, const char* format, ...) {
  ModuleError error;
  error.failure.code = code;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(error.failure.sentence, sizeof(error.failure.sentence), format, arguments);
  va_end(arguments);
  throw error;
}

inline void check_cuda(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that it is not found again by the next call
  const bool stays = cudaGetLastError() != cudaSuccess;
  raise(kGpu, "%s: %s (%s)%s", what, cudaGetErrorString(status), cudaGetErrorName(status),
        stays ? "; this process cannot use the GPU any more: start the job again, with --resume if "
                "it writes an output; nvidia-smi -q and the kernel's log (Xid) tell whether the "
                "GPU is at fault"
              : "");
}

/// For what failed without saying why: throws what the stream's kernels have met, if anything.
inline void check_stream(cudaStream_t stream) {
  const cudaError_t status = cudaStreamQuery(stream);
  if (status != cudaErrorNotReady && status != cudaErrorStreamCaptureUnsupported)
    check_cuda(status, "an operation before");
}

/// Runs `work` at the border: true, or false with what it threw.
template <typename Work>
bool guarded(Failure& failure, Work work) noexcept {
  try {
    work();
    return true;
  } catch (const ModuleError& error) {
    failure = error.failure;
  } catch (const std::exception& error) {
    failure.code = kInternal;
    std::snprintf(failure.sentence, sizeof(failure.sentence), "CUDA module: %s", error.what());
  }
  return false;
}

}  // namespace llmpq::cuda

/// CHECK_CUDA(cudaCall(...)): throws with the call's text and the library's.
#define CHECK_CUDA(call) ::llmpq::cuda::check_cuda((call), #call)
