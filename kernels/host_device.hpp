// LLMPQ_HOST_DEVICE: for functions that the CPU's compiler and nvcc's device code share.
#pragma once

#ifdef __CUDACC__
#define LLMPQ_HOST_DEVICE __host__ __device__
#else
#define LLMPQ_HOST_DEVICE
#endif
