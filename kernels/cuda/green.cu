// A part of a GPU's SMs for this process (--emulate sms=N): a green context, whose streams run on
// these SMs alone. The driver's functions are asked for at run time, so nothing links to it.
#include <cuda.h>

#include "kernels/cuda/session.cuh"

#if CUDART_VERSION >= 12050

namespace llmpq::cuda {
namespace {

/// A function of the driver by its name; raises where the driver is too old for it.
template <typename Function>
Function driver_function(const char* name) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  const cudaError_t status =
      cudaGetDriverEntryPointByVersion(name, &function, 12050, cudaEnableDefault, &found);
  if (status != cudaSuccess || found != cudaDriverEntryPointSuccess) {
    cudaGetLastError();
    raise(kGpu, "--emulate sms: this driver has no green contexts (%s); leave sms out", name);
  }
  return reinterpret_cast<Function>(function);
}

void check_driver(CUresult status, const char* what) {
  if (status != CUDA_SUCCESS)
    raise(kGpu, "--emulate sms: %s failed with driver error %d", what, static_cast<int>(status));
}

#define DRIVER(name) driver_function<decltype(&name)>(#name)

/// The smallest group of SMs that has as many as wanted; the hardware splits them by 8 or so.
CUdevResource split_sms(CUdevice device, int wanted) {
  CUdevResource all{}, part{}, rest{};
  check_driver(DRIVER(cuDeviceGetDevResource)(device, &all, CU_DEV_RESOURCE_TYPE_SM),
               "cuDeviceGetDevResource");
  if (wanted > static_cast<int>(all.sm.smCount))
    raise(2, "--emulate sms=%d: this GPU has %u SMs", wanted, all.sm.smCount);
  unsigned groups = 1;
  check_driver(DRIVER(cuDevSmResourceSplitByCount)(&part, &groups, &all, &rest, 0,
                                                   static_cast<unsigned>(wanted)),
               "cuDevSmResourceSplitByCount");
  return part;
}

}  // namespace

int open_green_context(Session& session) {
  CHECK_CUDA(cudaSetDevice(session.options.device));
  CHECK_CUDA(cudaFree(nullptr));  // the primary context must be there first
  CUdevice device = 0;
  check_driver(DRIVER(cuDeviceGet)(&device, session.options.device), "cuDeviceGet");
  CUdevResource part = split_sms(device, session.options.sms);
  CUdevResourceDesc description = nullptr;
  check_driver(DRIVER(cuDevResourceGenerateDesc)(&description, &part, 1),
               "cuDevResourceGenerateDesc");
  CUgreenCtx green = nullptr;
  check_driver(DRIVER(cuGreenCtxCreate)(&green, description, device, CU_GREEN_CTX_DEFAULT_STREAM),
               "cuGreenCtxCreate");
  session.green = green;
  return static_cast<int>(part.sm.smCount);
}

cudaStream_t make_green_stream(Session& session) {
  CUstream stream = nullptr;
  check_driver(DRIVER(cuGreenCtxStreamCreate)(&stream, static_cast<CUgreenCtx>(session.green),
                                              CU_STREAM_NON_BLOCKING, 0),
               "cuGreenCtxStreamCreate");
  return stream;
}

void close_green_context(Session& session) {
  if (session.green != nullptr) DRIVER(cuGreenCtxDestroy)(static_cast<CUgreenCtx>(session.green));
}

}  // namespace llmpq::cuda

#else

namespace llmpq::cuda {

int open_green_context(Session&) {
  raise(kGpu, "--emulate sms: this build's CUDA has no green contexts (12.5 has); leave sms out");
}
cudaStream_t make_green_stream(Session&) { return nullptr; }
void close_green_context(Session&) {}

}  // namespace llmpq::cuda

#endif
