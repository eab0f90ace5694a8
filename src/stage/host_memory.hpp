// What a CPU rank's process takes besides the memory of its stage, which plan/memory_model counts:
// so that the peak of a job can be foreseen and compared with what the process really filled.
#pragma once

#include <cstdint>

#include "stage/stage.hpp"

namespace llmpq {

/// Bytes of anonymous memory by what they are for.
struct HostMemory {
  int64_t program = 0;   ///< what was there before the stage: code's data, libraries, prompts
  int64_t stage = 0;     ///< weights, KV cache, workspace: StageMemory::total()
  int64_t staging = 0;   ///< what a GPU would copy from: lists of a step, requests, activations
  int64_t scratch = 0;   ///< of operations: rounded inputs, a thread's part of attention
  int64_t messages = 0;  ///< activations on their way
  int64_t threads = 0;   ///< stacks and heaps of those that the run starts
  int64_t driver = 0;    ///< rank 0's: kDriverBytes
  int64_t total() const {
    return program + stage + staging + scratch + messages + threads + driver;
  }
};

/// Prompts read ahead, requests, HDF5's caches of the journal: 4 to 8 MiB were measured.
inline constexpr int64_t kDriverBytes = int64_t{6} << 20;

/// The most that a rank on its CPU fills while it runs the stage of `setup`, if its KV cache
/// becomes full: `program_bytes` were there before the stage (anonymous_bytes()), `stage_bytes` are
/// the stage's. `threads` compute.
HostMemory predict_host_memory(const StageSetup& setup, const ModelConfig& config,
                               int64_t program_bytes, int64_t stage_bytes, int threads);

}  // namespace llmpq
