// How kernels are launched and what they begin with. All of them go through launch_kernel(), so
// that each launch is checked, and the sources are plain C++ but for a few keywords
// (tests/emulated_gpu compiles them as such).
//
//   From compute capability 9.0 on a kernel is launched while the one before it in the stream still
//   runs (programmatic dependent launch): its blocks take the places that get free, and wait.
//
//     kernel 1  | wait | let 2 start | work ............ |
//     kernel 2            launch, or load weights | wait | let 3 start | work ......
//     kernel 3                                             launch      | wait ......
//
//   A kernel may count on the one before it alone to have ended, so every one waits, in all of its
//   blocks. It lets the next one start after that: then everything before itself has ended too,
//   and what only that had written (weights) may be read by the next one before its own wait.
//   Copies, cuBLAS's kernels and whatever else there is in a stream come in between as ever.
#pragma once

#include "kernels/cuda/context.cuh"
#include "kernels/cuda/instructions.cuh"

namespace llmpq::cuda {

/// What a kernel does before it touches memory that others write or read.
__device__ inline void begin_kernel() {
  wait_for_kernel_before();
  let_next_kernel_start();
}

/// What `<<<...>>>` takes, and what newer GPUs offer besides.
struct Grid {
  dim3 blocks, threads;         ///< how many blocks, and threads of each
  size_t shared_bytes = 0;      ///< dynamic shared memory of a block
  unsigned cluster_blocks = 1;  ///< neighbours along x that run together, from 9.0 on
};

/// Whether kernels may be launched while the one before still runs: older code does not wait, older
/// toolkits cannot record such launches.
inline bool can_launch_early(const Session& session) {
  return session.code_version >= 90 && CUDART_VERSION >= 12030;
}

/// Queues a kernel that begins with begin_kernel(), or waits in each of its blocks itself; a launch
/// that cannot start throws. (What the kernel does wrong later shows at a synchronization.) `name`
/// is for the sentence.
template <typename... Parameters, typename... Arguments>
void launch_kernel(const StreamContext& context, const char* name, const Grid& grid,
                   void (*kernel)(Parameters...), const Arguments&... arguments) {
  cudaLaunchAttribute attributes[2]{};
  cudaLaunchConfig_t config{};
  config.gridDim = grid.blocks;
  config.blockDim = grid.threads;
  config.dynamicSmemBytes = grid.shared_bytes;
  config.stream = context.stream;
  config.attrs = attributes;
  if (grid.cluster_blocks > 1) {
    attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attributes[config.numAttrs++].val.clusterDim = {grid.cluster_blocks, 1, 1};
  }
  if (can_launch_early(*context.session)) {
    attributes[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
  }
  const cudaError_t status = cudaLaunchKernelEx(&config, kernel, arguments...);
  if (status == cudaSuccess) return;
  char what[128];
  std::snprintf(what, sizeof(what), "launch of %s", name);
  check_cuda(status, what);
}

}  // namespace llmpq::cuda
