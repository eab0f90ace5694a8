// Devices and errors of the emulated runtime.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "runtime.hpp"
#include "warp.hpp"

namespace llmpq::emulated {
namespace {

/// The architecture that the device code was compiled as, "900"; older devices of the same family
/// of code run it too, as they would run code of their own.
constexpr int kCode = __CUDA_ARCH__ / 10;

int number_from(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return otherwise;
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (*text == 0 || *end != 0 || value < 1 || value > 1000)
    fail("%s=%s: want a number", variable, text);
  return static_cast<int>(value);
}

Device make_device() {
  // CUDA C++ Programming Guide, technical specifications by compute capability, in KiB.
  struct Row {
    int compute_capability, sm_shared, block_shared;
  };
  constexpr Row kRows[] = {{60, 64, 48},   {70, 96, 96},    {75, 64, 64},
                           {80, 164, 163}, {86, 100, 99},   {89, 100, 99},
                           {90, 228, 227}, {100, 228, 227}, {120, 100, 99}};
  const int wanted = number_from("LLMPQ_EMULATED_GPU", kCode);
  for (const Row& row : kRows)
    if (row.compute_capability == wanted)
      return {wanted, number_from("LLMPQ_EMULATED_SMS", 24), row.sm_shared << 10,
              row.block_shared << 10};
  fail("LLMPQ_EMULATED_GPU=%d: no such compute capability (60, 70, 75, 80, 86, 89, 90, 100, 120)",
       wanted);
}

cudaError_t last_error = cudaSuccess;

}  // namespace

std::recursive_mutex& runtime_lock() {
  static auto* const lock = new std::recursive_mutex;  // outlives everything
  return *lock;
}

cudaError_t result(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

const Device& device() {
  static const Device made = make_device();
  return made;
}

/// Code of 9.0 does what that of 8.0 and 7.5 does, but for what the host chooses by this number;
/// code of 7.5 lacks what is behind __CUDA_ARCH__ >= 800.
int code_version() {
  const int wanted = device().compute_capability;
  int found = 0;
  for (const int code : {60, 70, 75, 80, 90})
    if (code <= wanted && code <= kCode && (kCode < 80) == (code < 80)) found = code;
  return found;
}

}  // namespace llmpq::emulated

using llmpq::emulated::device;
using llmpq::emulated::result;

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorInsufficientDriver:
      return "cudaErrorInsufficientDriver";
    case cudaErrorInvalidDeviceFunction:
      return "cudaErrorInvalidDeviceFunction";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorNoKernelImageForDevice:
      return "cudaErrorNoKernelImageForDevice";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady:
      return "cudaErrorNotReady";
    case cudaErrorNotSupported:
      return "cudaErrorNotSupported";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
  }
  return "an error that does not exist";
}
const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }

cudaError_t cudaGetLastError() {
  const std::lock_guard lock(llmpq::emulated::runtime_lock());
  return std::exchange(llmpq::emulated::last_error, cudaSuccess);
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int number) {
  return result(number == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int number) {
  if (number != 0) return result(cudaErrorInvalidDevice);
  switch (which) {
    case cudaDevAttrMultiProcessorCount:
      *value = device().sms;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = 32 << 20;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = device().compute_capability / 10;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = device().compute_capability % 10;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = device().sm_shared_bytes;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = device().block_shared_bytes;
      return cudaSuccess;
  }
  return result(cudaErrorInvalidValue);
}
cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int number) {
  if (number != 0) return result(cudaErrorInvalidDevice);
  std::snprintf(text, static_cast<size_t>(size), "0000:00:00.0");
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int number) {
  if (number != 0) return result(cudaErrorInvalidDevice);
  std::snprintf(properties->name, sizeof(properties->name), "emulated GPU %d.%d",
                device().compute_capability / 10, device().compute_capability % 10);
  std::memcpy(properties->uuid.bytes, "emulated GPU\0\0\0", 16);
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
