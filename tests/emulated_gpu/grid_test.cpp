#include "grid.hpp"

#include <gtest/gtest.h>

#include "kernels/cuda/instructions.cuh"

namespace llmpq::emulated {
namespace {

/// Two blocks of a warp each.
Launch two_blocks(bool early, std::function<void()> body) {
  return {2, 32, 1, 1024, nullptr, early, std::move(body)};
}

TEST(EmulatedGrid, AKernelThatStartsEarlySeesTheOneBeforeAfterItsWait) {
  int written = 0, early = 0, seen = 0;
  const Launch first = two_blocks(false, [&] { written = 5; });
  const Launch second = two_blocks(true, [&] {
    early += written == 0 ? 1 : 0;
    *reinterpret_cast<unsigned*>(dynamic_shared()) = 7 + blockIdx.x;
    cuda::wait_for_kernel_before();
    seen += written;
    EXPECT_EQ(*reinterpret_cast<unsigned*>(dynamic_shared()), 7 + blockIdx.x);
  });
  run_grid(first, &second);
  EXPECT_EQ(seen, 0);
  run_grid(second);
  EXPECT_EQ(early, 32) << "one block";
  EXPECT_EQ(seen, 64 * 5);
}

TEST(EmulatedGridDeathTest, EveryBlockHasToWait) {
  const Launch first = two_blocks(false, [] {});
  const Launch second = two_blocks(true, [] {
    if (blockIdx.x == 0) cuda::wait_for_kernel_before();
  });
  EXPECT_DEATH(
      {
        run_grid(first, &second);
        run_grid(second);
      },
      "has ended without griddepcontrol.wait.*block \\(1, 0, 0\\)");
}

TEST(EmulatedGrid, AChainOfKernels) {
  std::vector<int> values{1};
  const auto link = [&] {
    cuda::wait_for_kernel_before();
    if (blockIdx.x + threadIdx.x == 0) values.push_back(2 * values.back());
  };
  const std::vector<Launch> chain(5, two_blocks(true, link));
  for (size_t i = 0; i < chain.size(); ++i)
    run_grid(chain[i], i + 1 < chain.size() ? &chain[i + 1] : nullptr);
  EXPECT_EQ(values, (std::vector<int>{1, 2, 4, 8, 16, 32}));
}

TEST(EmulatedGrid, BlocksOfAClusterHaveTheirOwnStaticVariables) {
  Launch cluster = two_blocks(false, [] {
    __shared__ unsigned value;
    if (threadIdx.x == 0) value = 7 + blockIdx.x;
    cuda::cluster_sync();
    EXPECT_EQ(value, 7 + blockIdx.x);
    cuda::cluster_sync();
    if (threadIdx.x == blockIdx.x) value += 10;
    cuda::cluster_sync();
    EXPECT_EQ(value, 17 + blockIdx.x);
  });
  cluster.cluster_blocks = 2;
  run_grid(cluster);
}

TEST(EmulatedGridDeathTest, AnotherKernelComesInBetween) {
  const Launch one = two_blocks(true, [] { cuda::wait_for_kernel_before(); }), other = one;
  EXPECT_DEATH(
      {
        run_grid(one, &other);
        run_grid(one);
      },
      "a kernel that has started early is not the next one");
}

}  // namespace
}  // namespace llmpq::emulated
