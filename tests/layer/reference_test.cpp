// The forward pass against the plain model in double, in every format, and how far each kind of
// rounding on the way may move it.
#include <gtest/gtest.h>

#include "reference_model.hpp"
#include "test_model.hpp"

namespace llmpq {
namespace {

struct Case {
  std::string name;
  RunnerSetup setup;
  double tolerance;  ///< of the largest logit
};

/// f32 sums of a few hundred terms; bf16 has 2^-9, f16 2^-12, and int8 1/254 of the largest,
/// rounding the cache or the inputs of some ten products.
std::vector<Case> cases() {
  using enum ActivationType;
  std::vector<Case> cases;
  for (const FormatInfo& format : kFormats)
    cases.push_back({std::string(format.name) + "_f32", {.format = format.format}, 5e-6});
  for (Format format : {Format::kW8, Format::kW4, Format::kW3})
    cases.push_back(
        {std::string(name(format)) + "_int8", {.format = format, .activation = kInt8}, 4e-2});
  cases.push_back({"bf16_activations", {.activation = kBf16}, 2e-2});
  cases.push_back({"kv_bf16", {.kv_type = DType::kBf16}, 1e-2});
  cases.push_back({"kv_f16", {.kv_type = DType::kF16}, 2e-3});
  cases.push_back({"kv_int8", {.kv_type = DType::kInt8}, 2e-2});
  return cases;
}

class Reference : public ::testing::TestWithParam<Case> {};

TEST_P(Reference, ForwardPassIsThePlainModel) {
  // Rounding may send a token to another expert: then nothing is close any more.
  const RunnerSetup& setup = GetParam().setup;
  const bool exact = setup.activation == ActivationType::kF32 && setup.kv_type == DType::kF32;
  for (const ModelConfig& config : exact ? all_small_models() : small_models()) {
    const RandomCheckpoint checkpoint(config);
    Runner runner(checkpoint, GetParam().setup);
    const auto tokens = random_tokens(21, config.vocab, 3);
    const std::vector<Vector> want = ReferenceModel(checkpoint, runner.layers()).logits(tokens);
    const auto got = runner.prefill(0, tokens, tokens.size());
    double error = 0, largest = 0;
    for (size_t t = 0; t < want.size(); ++t)
      for (size_t i = 0; i < want[t].size(); ++i) {
        ASSERT_TRUE(std::isfinite(got[t][i]));
        error = std::max(error, std::abs(got[t][i] - want[t][i]));
        largest = std::max(largest, std::abs(want[t][i]));
      }
    ASSERT_GT(largest, 0.5);
    EXPECT_LE(error, GetParam().tolerance * largest) << config.family;
    EXPECT_GT(error, GetParam().tolerance * largest / 50) << config.family << ": not rounded?";
    RecordProperty(config.family, std::to_string(error / largest));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Reference, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace llmpq
