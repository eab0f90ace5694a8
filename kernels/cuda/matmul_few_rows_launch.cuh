// Launches of matmul_few_rows_kernel.cuh: what the driver says about a device, asked once, and the
// choice among the kernels. Included by the files that instantiate them.
#pragma once

#include <array>
#include <mutex>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/matmul_few_rows_kernel.cuh"

namespace llmpq::cuda {

/// Asks for what decides the cut, and lets the kernel take all of an SM's shared memory.
inline FewRowsDevice prepare_kernel(const void* kernel, int device) {
  FewRowsDevice facts{};
  CHECK_CUDA(cudaDeviceGetAttribute(&facts.block_shared_bytes,
                                    cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  CHECK_CUDA(cudaDeviceGetAttribute(&facts.sm_shared_bytes,
                                    cudaDevAttrMaxSharedMemoryPerMultiprocessor, device));
  CHECK_CUDA(cudaDeviceGetAttribute(&facts.l2_bytes, cudaDevAttrL2CacheSize, device));
  CHECK_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  facts.block_shared_bytes));
  CHECK_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                  cudaSharedmemCarveoutMaxShared));
  return facts;
}

/// One for each kernel, static: a launch must not cost such questions to the driver.
class FewRowsDevices {
 public:
  const FewRowsDevice& of(const void* kernel, int device) {
    constexpr int kMostDevices = 64;
    static_assert(std::tuple_size_v<decltype(facts_)> == kMostDevices);
    if (device >= kMostDevices)
      raise(kInternal, "device %d: want less than %d", device, kMostDevices);
    const auto at = static_cast<size_t>(device);
    std::call_once(asked_[at], [&] { facts_[at] = prepare_kernel(kernel, device); });
    return facts_[at];
  }

 private:
  std::array<std::once_flag, 64> asked_;
  std::array<FewRowsDevice, 64> facts_;
};

/// `task` says what is multiplied, and by task.ahead > 0 that weights are asked for ahead; how it
/// is cut is filled in here.
template <Format kFormat, typename T, typename Shape>
void launch_few_rows(StreamContext& context, FewRowsTask task, const FewRowsLimits& limits) {
  static FewRowsDevices devices;
  const auto kernel = few_rows_kernel<kFormat, T, Shape>;
  FewRowsDevice device =
      devices.of(reinterpret_cast<const void*>(kernel), context.session->options.device);
  device.sms = context.session->sms;
  const int warps = few_rows_warps<kFormat, Shape>(device);
  const int rings = warps * ring_bytes<kFormat, Shape>();
  deal_out(task, device, limits, warps * Shape::kTiles, Shape::kRangesPerSm);
  task.chunk = few_rows_chunk<Shape>(task, few_rows_budget<Shape>(device, rings) - rings);
  if (task.ahead > 0)
    task.ahead = few_rows_ahead(task, device, warps * Shape::kTiles * tile_bytes(kFormat));

  Grid grid;
  // The blocks that need the same weights are neighbours: memory is read for one of them.
  grid.blocks = dim3(static_cast<unsigned>(divide_up(task.token_tiles, Shape::kTokenTiles)),
                     static_cast<unsigned>(task.ranges));
  grid.threads = static_cast<unsigned>(32 * warps);
  grid.shared_bytes = static_cast<size_t>(rings) +
                      static_cast<size_t>(task.chunk) * x_group_bytes(Shape::kTokenTiles);
  launch_kernel(context, "few_rows_kernel", grid, kernel, task);
}

template <typename T, int kTokenTiles>
void launch_few_rows(StreamContext& context, Format format, FewRowsBlocks blocks,
                     const FewRowsTask& task, const FewRowsLimits& limits) {
  const auto launch = [&]<Format kFormat>() {
    using Usual = FewRowsShape<kFormat, kTokenTiles, FewRowsBlocks::kUsual>;
    using Wide = FewRowsShape<kFormat, kTokenTiles, FewRowsBlocks::kWide>;
    if (blocks == FewRowsBlocks::kWide)
      launch_few_rows<kFormat, T, Wide>(context, task, limits);
    else
      launch_few_rows<kFormat, T, Usual>(context, task, limits);
  };
  switch (format) {
    case Format::kW8:
      return launch.template operator()<Format::kW8>();
    case Format::kW4:
      return launch.template operator()<Format::kW4>();
    case Format::kW3:
      return launch.template operator()<Format::kW3>();
    case Format::kBf16:
    case Format::kF16:
      raise(kInternal, "few rows: 16-bit weights are cuBLAS's");
  }
}

/// The kernel for that many tokens. Instantiated in matmul_few_rows_bf16.cu and ..._f16.cu.
template <typename T>
void launch_few_rows(StreamContext& context, Format format, FewRowsBlocks blocks,
                     const FewRowsTask& task, const FewRowsLimits& limits) {
  if (task.token_tiles <= 1) return launch_few_rows<T, 1>(context, format, blocks, task, limits);
  if (task.token_tiles <= 2) return launch_few_rows<T, 2>(context, format, blocks, task, limits);
  launch_few_rows<T, 4>(context, format, blocks, task, limits);
}

}  // namespace llmpq::cuda
