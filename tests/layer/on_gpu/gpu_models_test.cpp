// Whole models on a GPU: those of layer/fixtures, one or more of each family, against what Hugging
// Face transformers computed in float32 and against the CPU in every format. Skipped without a GPU.
#include <gtest/gtest.h>

#include "input/checkpoint.hpp"
#include "layer/parity.hpp"
#include "layer/test_model.hpp"

namespace llmpq {
namespace {

/// The largest error of a row, as a share of the largest logit.
double error_of(const std::vector<float>& got, const std::vector<float>& want) {
  const ParityError found = parity_error(got, want);
  return found.error / found.largest;
}

class GpuModels : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const CudaDevices devices = find_cuda_devices();
    if (devices.list.empty()) GTEST_SKIP() << "no GPU: " << devices.why_none;
  }

  Runner on_gpu(RunnerSetup setup) const {
    setup.on_gpu = true;
    return Runner(*checkpoint, setup);
  }

  /// Prompts in chunks and a token alone after each, which the GPU attends by other kernels.
  double largest_difference(const RunnerSetup& setup) const {
    Runner there = on_gpu(setup), here(*checkpoint, setup);
    double most = 0;
    for (size_t p = 0; p < expected.prompts.size(); ++p) {
      const auto& prompt = expected.prompts[p];
      const auto sequence = static_cast<int>(p);
      const Runner::Part next{sequence, static_cast<int32_t>(prompt.size()), {prompt[0]}};
      most = std::max(most, error_of(there.prefill(sequence, prompt, kChunk).back(),
                                     here.prefill(sequence, prompt, kChunk).back()));
      most = std::max(most, error_of(there.step({next})[0], here.step({next})[0]));
    }
    return most;
  }

  static constexpr size_t kChunk = 9;
  /// Inputs that round to the neighbour of what they round to on the CPU: measured, 0.4 %.
  static constexpr double kRoundingTolerance = 0.02;
  const std::filesystem::path folder = parity_fixtures() / GetParam();
  const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(folder);
  const ParityExpectation expected{folder / "expected.json"};
};

TEST_P(GpuModels, LogitsAreThoseOfTransformers) {
  Runner run = on_gpu({.format = format_16bit(checkpoint->config())});
  for (size_t p = 0; p < expected.prompts.size(); ++p) {
    const auto& prompt = expected.prompts[p];
    const Logits logits = run.prefill(static_cast<int>(p), prompt, kChunk);
    expect_parity(logits.back(), expected.logits_last[p], "the end of prompt " + std::to_string(p));
    if (p != expected.prompt_of_all) continue;
    ASSERT_EQ(logits.size(), expected.logits_all.size());
    for (size_t t = 0; t < logits.size(); ++t)
      expect_parity(logits[t], expected.logits_all[t], "position " + std::to_string(t));
  }
}

/// The tokens of all prompts grow in one batch.
TEST_P(GpuModels, GreedyTokensAreThoseOfTransformers) {
  Runner run = on_gpu({.format = format_16bit(checkpoint->config())});
  EXPECT_EQ(greedy_tokens(run, expected.prompts, expected.greedy[0].size()), expected.greedy);
}

TEST_P(GpuModels, EachFormatIsTheCpus) {
  for (const FormatInfo& format : kFormats) {
    const bool integers = !is_16bit(format.format);
    const auto activation = integers ? ActivationType::kInt8 : ActivationType::kF32;
    EXPECT_LT(largest_difference({.format = format.format, .activation = activation}),
              integers ? kRoundingTolerance : kParityTolerance)
        << format.name;
  }
}

TEST_P(GpuModels, EachTypeOfInputsAndOfTheCacheIsTheCpus) {
  const Format format = format_16bit(checkpoint->config());
  for (const auto activation : {ActivationType::kBf16, ActivationType::kF16})
    EXPECT_LT(largest_difference({.format = format, .activation = activation}), kRoundingTolerance)
        << "inputs of type " << static_cast<int>(activation);
  for (const DType type : {DType::kBf16, DType::kF16, DType::kInt8})
    EXPECT_LT(largest_difference({.format = format, .kv_type = type}), kRoundingTolerance)
        << "a cache of type " << static_cast<int>(type);
}

class Silent final : public LayerObserver {
 public:
  void see_product(Context&, const ProductRun&) override {}
  void see_hidden(Context&, int64_t, const float*, int64_t, int64_t) override {}
};

/// Where somebody looks on, products round their inputs themselves.
TEST_P(GpuModels, InputsRoundedByTheOperationBeforeChangeNoBit) {
  Silent observer;
  for (const Format format : {Format::kW8, Format::kW4, Format::kW3}) {
    RunnerSetup setup{
        .format = format, .kv_type = DType::kBf16, .activation = ActivationType::kBf16};
    Runner run = on_gpu(setup);
    setup.observer = &observer;
    Runner watched = on_gpu(setup);
    const auto& prompt = expected.prompts[0];
    EXPECT_EQ(run.prefill(0, prompt, kChunk), watched.prefill(0, prompt, kChunk));
    const Runner::Part next{0, static_cast<int32_t>(prompt.size()), {prompt[0]}};
    EXPECT_EQ(run.step({next}), watched.step({next})) << name(format);
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GpuModels, ::testing::ValuesIn(parity_fixture_names()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace llmpq
