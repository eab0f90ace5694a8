// Devices and errors of the emulated runtime.
#include <pthread.h>

#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>

#include "fault.hpp"
#include "runtime.hpp"
#include "settings.hpp"
#include "warp.hpp"

namespace llmpq::emulated {
namespace {

/// The architecture that the device code was compiled as, "900"; older devices of the same family
/// of code run it too, as they would run code of their own.
constexpr int kCode = __CUDA_ARCH__ / 10;

cudaError_t last_error = cudaSuccess;

/// Index among devices(), for each thread. Not thread_local: such are shared memory here.
pthread_key_t current_key() {
  static const pthread_key_t key = [] {
    pthread_key_t made;
    pthread_key_create(&made, nullptr);
    return made;
  }();
  return key;
}

bool is_there(int number) { return number >= 0 && number < static_cast<int>(devices().size()); }

const Device& numbered(int number) { return devices()[static_cast<size_t>(number)]; }

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
  if (devices().empty()) fail("a call for a device where none is visible");
  return devices()[reinterpret_cast<size_t>(pthread_getspecific(current_key()))];
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

using namespace llmpq::emulated;

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
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorNoKernelImageForDevice:
      return "cudaErrorNoKernelImageForDevice";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady:
      return "cudaErrorNotReady";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorLaunchOutOfResources:
      return "cudaErrorLaunchOutOfResources";
    case cudaErrorNotSupported:
      return "cudaErrorNotSupported";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
  }
  return "an error that does not exist";
}
const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }

cudaError_t cudaGetLastError() {
  const std::lock_guard lock(runtime_lock());
  if (broken() != cudaSuccess) return broken();
  return std::exchange(last_error, cudaSuccess);
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (driver_version() < CUDART_VERSION / 1000 * 1000) return result(cudaErrorInsufficientDriver);
  if (devices().empty()) return result(cudaErrorNoDevice);
  *count = static_cast<int>(devices().size());
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int number) {
  if (!is_there(number)) return result(cudaErrorInvalidDevice);
  pthread_setspecific(current_key(), reinterpret_cast<void*>(static_cast<size_t>(number)));
  return broken();
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int number) {
  if (!is_there(number)) return result(cudaErrorInvalidDevice);
  const Device& asked = numbered(number);
  switch (which) {
    case cudaDevAttrMultiProcessorCount:
      *value = asked.sms;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = 32 << 20;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = asked.compute_capability / 10;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = asked.compute_capability % 10;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = asked.sm_shared_bytes;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = asked.block_shared_bytes;
      return cudaSuccess;
  }
  return result(cudaErrorInvalidValue);
}
/// No machine has such a bus.
cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int number) {
  if (!is_there(number)) return result(cudaErrorInvalidDevice);
  std::snprintf(text, static_cast<size_t>(size), "ffff:%02x:00.0", numbered(number).machine_index);
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int number) {
  if (!is_there(number)) return result(cudaErrorInvalidDevice);
  const Device& asked = numbered(number);
  std::snprintf(properties->name, sizeof(properties->name), "emulated GPU %d.%d",
                asked.compute_capability / 10, asked.compute_capability % 10);
  std::memcpy(properties->uuid.bytes, "emulated GPU\0\0\0", 16);
  properties->uuid.bytes[0] = static_cast<char>(asked.machine_index);
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = driver_version();
  return cudaSuccess;
}
