// A block's dynamic shared memory, whose size the launch says.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace llmpq::cuda {

/// Its begin, a multiple of 1024 as wgmma wants it.
__device__ inline std::byte* dynamic_shared() {
  extern __shared__ __align__(1024) std::byte memory[];
  return memory;
}

}  // namespace llmpq::cuda
