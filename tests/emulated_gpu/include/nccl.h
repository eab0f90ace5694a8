// Stands in for NCCL's header: what link_nccl.cu uses. It opens the library at run time; here that
// is nccl.cpp, so dlopen and dlsym are turned there.
#pragma once

#include <cstddef>

#include "cuda_runtime_api.h"

struct ncclUniqueId {
  char internal[128];
};
using ncclComm_t = struct ncclComm*;
enum ncclResult_t {
  ncclSuccess = 0,
  ncclSystemError = 2,
  ncclInvalidArgument = 4,
  ncclRemoteError = 6,
  ncclInProgress = 7,
};
enum ncclDataType_t { ncclFloat = 7 };
struct ncclConfig_t {
  int blocking;
};
#define NCCL_CONFIG_INITIALIZER \
  { 1 }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id);
ncclResult_t ncclCommInitRankConfig(ncclComm_t* made, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config);
ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t* state);
ncclResult_t ncclCommAbort(ncclComm_t communicator);
ncclResult_t ncclSend(const void* from, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t communicator, cudaStream_t stream);
ncclResult_t ncclRecv(void* to, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t communicator, cudaStream_t stream);
ncclResult_t ncclGroupStart();
ncclResult_t ncclGroupEnd();
const char* ncclGetErrorString(ncclResult_t result);

namespace llmpq::emulated {
/// nullptr where LLMPQ_EMULATED_NCCL=absent.
void* open_nccl(const char* file);
void* nccl_function(void* library, const char* name);
}  // namespace llmpq::emulated

#define dlopen(file, mode) ::llmpq::emulated::open_nccl(file)
#define dlsym(library, name) ::llmpq::emulated::nccl_function(library, name)
