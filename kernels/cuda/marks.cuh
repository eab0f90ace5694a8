// Named ranges of the host's time for NVIDIA's profilers (NVTX): which step was being queued.
#pragma once

namespace llmpq::cuda {

/// Ranges of a thread nest: a pop ends the last push.
void push_range(const char* name);
void pop_range();

}  // namespace llmpq::cuda
