// Stands in for CUDA's header of this name: its keywords as plain C++, so that kernels/cuda
// compiles without a CUDA compiler. Included before everything else, as nvcc does.
#pragma once

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) alignas(bytes)
// All thread-local variables of the module are a block's static shared memory (shared_memory.cpp).
#define __shared__ static thread_local

#include "cuda_runtime_api.h"
#include "device_functions.h"
#include "vector_types.h"
