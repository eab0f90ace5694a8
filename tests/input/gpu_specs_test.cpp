#include "input/gpu_specs.hpp"

#include <gtest/gtest.h>

#include <set>

namespace llmpq {
namespace {

TEST(GpuSpecs, AreWhole) {
  std::set<std::string> names;
  for (const GpuSpec& spec : gpu_specs()) {
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
    EXPECT_GE(spec.compute_capability, 60) << spec.name;
    EXPECT_GE(spec.half_tflops, spec.fp32_tflops) << spec.name;
    EXPECT_GT(spec.fp32_tflops, 5) << spec.name;
    EXPECT_GE(spec.bandwidth_gbps, 300) << spec.name;
    EXPECT_GT(spec.pcie_gbps, 15) << spec.name;
    EXPECT_FALSE(spec.source.empty()) << spec.name;
    EXPECT_GT(usable_bytes(spec), int64_t{10} << 30) << spec.name;
    EXPECT_LT(static_cast<double>(usable_bytes(spec)), spec.memory_gib * (1 << 30)) << spec.name;
  }
  EXPECT_EQ(names.size(), 19u);
}

TEST(GpuSpecs, AreFoundByName) {
  ASSERT_NE(find_gpu("A100-80G"), nullptr);
  EXPECT_EQ(find_gpu("a100-80g")->memory_gib, 80);
  EXPECT_EQ(find_gpu("A100"), nullptr);
  EXPECT_EQ(did_you_mean_gpu("A100-80GB"), "did you mean A100-80G?");
  EXPECT_EQ(did_you_mean_gpu("rtx4099"), "did you mean RTX4090?");
  EXPECT_NE(did_you_mean_gpu("Gaudi").find("known are P100-12G, P100-16G"), std::string::npos);
}

}  // namespace
}  // namespace llmpq
