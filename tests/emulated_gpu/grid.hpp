// Runs a grid: its blocks, or the clusters of them, one after the other in the order that is asked
// for; the threads of each as fibers.
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
  std::function<void()> body;  ///< what each thread runs
};

void run_grid(const Launch& launch);

/// What runs, for a sentence: kernel, block, thread. Empty if none does.
void describe_running(char* text, size_t size);

}  // namespace llmpq::emulated
