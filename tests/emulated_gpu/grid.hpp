// Runs a grid: its blocks, or the clusters of them, one after the other in the order that is asked
// for; the threads of each as fibers. The first of a grid that may start early does: it goes as far
// as it comes before the grid in front of it has begun, and waits there until that has ended.
#pragma once

#include <cstddef>
#include <functional>

#include "cuda_runtime_api.h"

namespace llmpq::emulated {

struct Launch {
  dim3 blocks, threads;
  unsigned cluster_blocks = 1;  ///< along x
  size_t shared_bytes = 0;
  const void* kernel = nullptr;
  bool early = false;          ///< may start while the kernel before it in the stream runs
  std::function<void()> body;  ///< what each thread runs
};

/// `next` is nullptr, or a launch that may start early and that is run after this one, before any
/// other.
void run_grid(const Launch& launch, const Launch* next = nullptr);

/// What runs, for a sentence: kernel, block, thread. Empty if none does.
void describe_running(char* text, size_t size);

}  // namespace llmpq::emulated
