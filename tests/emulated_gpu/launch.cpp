// Launches: what CUDA checks of them, and the attributes of kernels.
#include <map>
#include <memory>
#include <utility>

#include "fault.hpp"
#include "grid.hpp"
#include "runtime.hpp"
#include "warp.hpp"

namespace llmpq::emulated {
namespace {

constexpr size_t kMostParameterBytes = 4096;  ///< that every GPU takes
constexpr unsigned kMostClusterBlocks = 8;    ///< that needs no attribute
constexpr size_t kUsualSharedBytes = 48 << 10;

std::map<const void*, size_t>& dynamic_limits() {
  static auto* const limits = new std::map<const void*, size_t>;
  return *limits;
}

/// Clusters and early launches are Hopper's and what came after it.
cudaError_t read_attributes(const cudaLaunchConfig_t& config, Launch& launch) {
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    const cudaLaunchAttribute& attribute = config.attrs[i];
    if (code_version() < 90) return cudaErrorNotSupported;
    if (attribute.id == cudaLaunchAttributeProgrammaticStreamSerialization)
      launch.early = attribute.val.programmaticStreamSerializationAllowed != 0;
    if (attribute.id != cudaLaunchAttributeClusterDimension) continue;
    launch.cluster_blocks = attribute.val.clusterDim.x;
    if (launch.cluster_blocks < 1 || launch.cluster_blocks > kMostClusterBlocks ||
        launch.blocks.x % launch.cluster_blocks != 0)
      return cudaErrorInvalidConfiguration;
  }
  return cudaSuccess;
}

cudaError_t check(const Launch& launch) {
  const dim3 &blocks = launch.blocks, &threads = launch.threads;
  constexpr unsigned kMostX = 0x7fffffff, kMostYZ = 65535, kMostThreads = 1024, kMostThreadsZ = 64;
  const bool some = blocks.x > 0 && blocks.y > 0 && blocks.z > 0 && threads.x > 0 &&
                    threads.y > 0 && threads.z > 0;
  if (!some || blocks.x > kMostX || blocks.y > kMostYZ || blocks.z > kMostYZ ||
      threads.z > kMostThreadsZ || uint64_t{threads.x} * threads.y * threads.z > kMostThreads)
    return cudaErrorInvalidConfiguration;
  const auto found = dynamic_limits().find(launch.kernel);
  const size_t limit = found == dynamic_limits().end() ? kUsualSharedBytes : found->second;
  return launch.shared_bytes > limit ? cudaErrorInvalidValue : cudaSuccess;
}

}  // namespace

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, size_t parameter_bytes,
                   std::function<void()> body) {
  const std::lock_guard lock(runtime_lock());
  if (code_version() == 0) return result(cudaErrorNoKernelImageForDevice);
  if (const cudaError_t status = of_launch()) return status;
  if (parameter_bytes > kMostParameterBytes) return result(cudaErrorInvalidValue);
  Launch launch{config.gridDim, config.blockDim, 1, config.dynamicSmemBytes, kernel, false, {}};
  if (const cudaError_t status = read_attributes(config, launch)) return result(status);
  if (const cudaError_t status = check(launch)) return result(status);
  launch.body = std::move(body);
  return enqueue(config.stream, std::make_shared<const Launch>(std::move(launch)));
}

cudaError_t get_attributes(cudaFuncAttributes* attributes, const void*) {
  if (code_version() == 0) return result(cudaErrorNoKernelImageForDevice);
  attributes->ptxVersion = code_version();
  return cudaSuccess;
}

cudaError_t set_attribute(const void* kernel, cudaFuncAttribute which, int value) {
  const std::lock_guard lock(runtime_lock());
  if (which != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || value > device().block_shared_bytes) return result(cudaErrorInvalidValue);
  dynamic_limits()[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}

}  // namespace llmpq::emulated
