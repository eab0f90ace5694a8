// Whole models of each kind on a GPU beside the CPU: the operations put together as a stage does,
// prompts in chunks and single rows. Skipped where there is no GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "test_model.hpp"

namespace llmpq {
namespace {

using Logits = std::vector<std::vector<float>>;

struct Case {
  std::string name;
  size_t model;
  RunnerSetup setup;
  float allowed;  ///< of the largest logit
};

/// What differs: sums in another order; rounding of queries, weights of keys (2^-8 each) or inputs,
/// which the layers then carry on.
std::vector<Case> cases() {
  constexpr float kExact = 1e-4f, kRounded = 0.05f;
  std::vector<Case> cases;
  const std::vector<ModelConfig> models = all_small_models();
  for (size_t model = 0; model < models.size(); ++model) {
    const std::string family = models[model].family;
    for (const FormatInfo& format : kFormats)
      cases.push_back({family + "_" + std::string(format.name),
                       model,
                       {.format = format.format, .kv_type = DType::kF32},
                       kExact});
    for (const DType kv : {DType::kBf16, DType::kF16, DType::kInt8})
      cases.push_back({family + "_kv_" + std::string(name(kv)), model, {.kv_type = kv}, kRounded});
    for (const Format format : {Format::kBf16, Format::kW4})
      cases.push_back({family + "_" + std::string(name(format)) + "_bf16_activations",
                       model,
                       {.format = format, .activation = ActivationType::kBf16},
                       kRounded});
  }
  return cases;
}

class CudaForward : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const CudaDevices devices = find_cuda_devices();
    if (devices.list.empty()) GTEST_SKIP() << "no GPU: " << devices.why_none;
  }
};

TEST_P(CudaForward, HasTheLogitsOfTheCpu) {
  const RandomCheckpoint checkpoint(all_small_models()[GetParam().model]);
  const std::vector<int32_t> tokens = random_tokens(24, checkpoint.config().vocab, 1);
  RunnerSetup setup = GetParam().setup;
  Runner cpu(checkpoint, setup);
  setup.on_gpu = true;
  Runner gpu(checkpoint, setup);
  int sequence = 0;
  for (const size_t chunk : {size_t{24}, size_t{10}, size_t{1}}) {
    const Logits want = cpu.prefill(sequence, tokens, chunk);
    const Logits got = gpu.prefill(sequence++, tokens, chunk);
    ASSERT_EQ(got.size(), want.size());
    float largest = 0, worst = 0;
    for (size_t row = 0; row < want.size(); ++row)
      for (size_t i = 0; i < want[row].size(); ++i) {
        ASSERT_TRUE(std::isfinite(got[row][i])) << "row " << row << ", logit " << i;
        largest = std::max(largest, std::fabs(want[row][i]));
        worst = std::max(worst, std::fabs(got[row][i] - want[row][i]));
      }
    EXPECT_GT(largest, 0.5f) << "logits that tell nothing apart prove nothing";
    EXPECT_LE(worst, GetParam().allowed * largest) << "chunks of " << chunk;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaForward, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace llmpq
