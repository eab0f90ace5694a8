// Green contexts of the emulated driver: numbers of SMs, in steps of eight as on Hopper.
#include <cuda.h>

#include <cstring>

#include "runtime.hpp"

struct CUgreenCtx_st {
  unsigned sms;
};
struct CUdevResourceDesc_st {
  unsigned sms;
};

CUresult cuDeviceGet(CUdevice* device, int number) {
  *device = number;
  return number >= 0 && number < static_cast<int>(llmpq::emulated::devices().size())
             ? CUDA_SUCCESS
             : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuDeviceGetDevResource(CUdevice, CUdevResource* resource, CUdevResourceType) {
  resource->sm.smCount = static_cast<unsigned>(llmpq::emulated::device().sms);
  return CUDA_SUCCESS;
}
CUresult cuDevSmResourceSplitByCount(CUdevResource* parts, unsigned* count,
                                     const CUdevResource* all, CUdevResource* rest, unsigned,
                                     unsigned least) {
  const unsigned each = (least + 7) / 8 * 8;
  if (*count != 1 || each == 0 || each > all->sm.smCount) return CUDA_ERROR_INVALID_VALUE;
  parts[0].sm.smCount = each;
  rest->sm.smCount = all->sm.smCount - each;
  return CUDA_SUCCESS;
}
CUresult cuDevResourceGenerateDesc(CUdevResourceDesc* description, CUdevResource* resources,
                                   unsigned count) {
  if (count != 1) return CUDA_ERROR_INVALID_VALUE;
  *description = new CUdevResourceDesc_st{resources[0].sm.smCount};
  return CUDA_SUCCESS;
}
CUresult cuGreenCtxCreate(CUgreenCtx* context, CUdevResourceDesc description, CUdevice, unsigned) {
  *context = new CUgreenCtx_st{description->sms};
  delete description;
  return CUDA_SUCCESS;
}
CUresult cuGreenCtxDestroy(CUgreenCtx context) {
  delete context;
  return CUDA_SUCCESS;
}
CUresult cuGreenCtxStreamCreate(CUstream* stream, CUgreenCtx, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags) == cudaSuccess ? CUDA_SUCCESS
                                                                 : CUDA_ERROR_INVALID_VALUE;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
  const struct {
    const char* name;
    void* function;
  } all[] = {
      {"cuDeviceGet", reinterpret_cast<void*>(&cuDeviceGet)},
      {"cuDeviceGetDevResource", reinterpret_cast<void*>(&cuDeviceGetDevResource)},
      {"cuDevSmResourceSplitByCount", reinterpret_cast<void*>(&cuDevSmResourceSplitByCount)},
      {"cuDevResourceGenerateDesc", reinterpret_cast<void*>(&cuDevResourceGenerateDesc)},
      {"cuGreenCtxCreate", reinterpret_cast<void*>(&cuGreenCtxCreate)},
      {"cuGreenCtxDestroy", reinterpret_cast<void*>(&cuGreenCtxDestroy)},
      {"cuGreenCtxStreamCreate", reinterpret_cast<void*>(&cuGreenCtxStreamCreate)},
  };
  *found = cudaDriverEntryPointSymbolNotFound;
  for (const auto& entry : all)
    if (std::strcmp(entry.name, name) == 0) {
      *function = entry.function;
      *found = cudaDriverEntryPointSuccess;
    }
  return cudaSuccess;
}
