// Twin of kernels/cuda/shared_memory.cuh for the emulated GPU.
#pragma once

#include <cstddef>

#include "warp.hpp"

namespace llmpq::cuda {

inline std::byte* dynamic_shared() { return emulated::dynamic_shared(); }

}  // namespace llmpq::cuda
