// Runs a test's function as a kernel of the emulated GPU.
#pragma once

#include <functional>

#include "grid.hpp"

namespace llmpq::emulated {

struct KernelShape {
  unsigned threads = 32;
  unsigned cluster_blocks = 1;
  size_t shared_bytes = 16384;
};

/// One cluster of blocks, or one block; every thread calls `body`.
inline void run_kernel(const KernelShape& shape, std::function<void()> body) {
  run_grid({shape.cluster_blocks, shape.threads, shape.cluster_blocks, shape.shared_bytes, nullptr,
            false, std::move(body)});
}

/// Of the running block's shared memory, counted in T.
template <typename T>
T* shared_as(size_t byte = 0) {
  return reinterpret_cast<T*>(dynamic_shared() + byte);
}

}  // namespace llmpq::emulated
