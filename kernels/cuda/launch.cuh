// How kernels are launched: all of them through launch_kernel(), so that each launch is checked,
// and the sources are plain C++ but for a few keywords (tests/emulated_gpu compiles them as such).
#pragma once

#include "kernels/cuda/context.cuh"

namespace llmpq::cuda {

/// What `<<<...>>>` takes, and what newer GPUs offer besides.
struct Grid {
  dim3 blocks, threads;  ///< how many blocks, and threads of each
  cudaStream_t stream = nullptr;
  size_t shared_bytes = 0;  ///< dynamic shared memory of a block
  /// The kernel may begin while the one before it still runs: only code that waits for it, by
  /// griddepcontrol.wait.
  bool early = false;
  unsigned cluster_blocks = 1;  ///< neighbours along x that run together, from 9.0 on
};

/// Queues the kernel; a launch that cannot start throws. (What the kernel does wrong later shows at
/// a synchronization.) `name` is for the sentence.
template <typename... Parameters, typename... Arguments>
void launch_kernel(const char* name, const Grid& grid, void (*kernel)(Parameters...),
                   const Arguments&... arguments) {
  cudaLaunchAttribute attributes[2]{};
  cudaLaunchConfig_t config{};
  config.gridDim = grid.blocks;
  config.blockDim = grid.threads;
  config.dynamicSmemBytes = grid.shared_bytes;
  config.stream = grid.stream;
  config.attrs = attributes;
  if (grid.cluster_blocks > 1) {
    attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attributes[config.numAttrs++].val.clusterDim = {grid.cluster_blocks, 1, 1};
  }
  if (grid.early) {
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
