// The forward pass cut in many ways: the logits of a token are the same bits however its sequence
// was cut into chunks, and whatever else was in the step.
#include "layer/forward.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/isa.hpp"
#include "test_model.hpp"

namespace llmpq {
namespace {

using Logits = std::vector<std::vector<float>>;

struct Case {
  std::string name;
  size_t model;
  RunnerSetup setup;
};

std::vector<Case> cases() {
  std::vector<Case> cases;
  const std::vector<ModelConfig> models = all_small_models();
  for (size_t model = 0; model < models.size(); ++model) {
    for (const FormatInfo& format : kFormats) {
      const bool float_product = is_16bit(format.format);
      cases.push_back(
          {models[model].family + "_" + std::string(format.name),
           model,
           {.format = format.format,
            .kv_type = DType::kBf16,
            .activation = float_product ? ActivationType::kF32 : ActivationType::kInt8}});
    }
    for (DType kv : {DType::kF32, DType::kF16, DType::kInt8})
      cases.push_back(
          {models[model].family + "_kv_" + std::string(name(kv)), model, {.kv_type = kv}});
    cases.push_back(
        {models[model].family + "_bf16_activations", model, {.activation = ActivationType::kBf16}});
  }
  return cases;
}

class Forward : public ::testing::TestWithParam<Case> {
 protected:
  const RandomCheckpoint checkpoint{all_small_models()[GetParam().model]};
  const std::vector<int32_t> tokens = random_tokens(53, checkpoint.config().vocab, 1);
  const std::vector<int32_t> others = random_tokens(40, checkpoint.config().vocab, 2);
};

void expect_sensible(const Logits& logits) {
  float least = 0, most = 0;
  for (const auto& row : logits)
    for (float value : row) {
      ASSERT_TRUE(std::isfinite(value));
      least = std::min(least, value);
      most = std::max(most, value);
    }
  EXPECT_GT(most - least, 0.5f) << "logits that tell nothing apart prove nothing";
  EXPECT_NE(logits.front(), logits.back());
}

TEST_P(Forward, ChunksDoNotMatter) {
  Runner runner(checkpoint, GetParam().setup);
  const Logits whole = runner.prefill(0, tokens, tokens.size());
  expect_sensible(whole);
  int sequence = 1;
  for (size_t chunk : {1, 7, 16, 33})
    EXPECT_EQ(runner.prefill(sequence++, tokens, chunk), whole) << chunk;
}

/// Decode rows of one sequence beside prefill rows of another, and the same alone.
TEST_P(Forward, CompanyDoesNotMatter) {
  Runner alone(checkpoint, GetParam().setup), together(checkpoint, GetParam().setup);
  const Logits want = alone.prefill(0, tokens, tokens.size());
  const Logits want_other = alone.prefill(1, others, others.size());
  const std::vector<int32_t> start(tokens.begin(), tokens.begin() + 33);
  together.prefill(0, start, 33);
  size_t at_other = 0;
  for (size_t at = 33; at < tokens.size(); ++at) {
    std::vector<Runner::Part> parts{{0, static_cast<int32_t>(at), {tokens[at]}}};
    const size_t rows = std::min<size_t>(3, others.size() - at_other);
    const auto from = others.begin() + static_cast<std::ptrdiff_t>(at_other);
    if (rows > 0)
      parts.push_back(
          {1, static_cast<int32_t>(at_other), {from, from + static_cast<std::ptrdiff_t>(rows)}});
    const Logits got = together.step(parts);
    ASSERT_EQ(got[0], want[at]) << at;
    for (size_t i = 0; i < rows; ++i) ASSERT_EQ(got[1 + i], want_other[at_other + i]);
    at_other += rows;
  }
  EXPECT_EQ(at_other, others.size());
}

TEST_P(Forward, ThreadsAndInstructionSetsDoNotMatter) {
  RunnerSetup setup = GetParam().setup;
  const Logits want = Runner(checkpoint, setup).prefill(0, tokens, 20);
  for (Isa isa : available_isas()) {
    if (isa == Isa::kAmx && setup.activation == ActivationType::kBf16)
      continue;  // its own rounding
    setup.isa = name(isa);
    setup.threads = isa == Isa::kPlain ? 3 : 1;
    EXPECT_EQ(Runner(checkpoint, setup).prefill(0, tokens, 20), want) << name(isa);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Forward, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

/// Only the rows asked for reach the head.
TEST(ForwardHead, WorksOnSampledRowsOnly) {
  const RandomCheckpoint checkpoint(small_llama());
  const auto backend = make_cpu_backend(1, "auto");
  const auto context = backend->make_context();
  const ModelConfig& config = checkpoint.config();
  const Sizes sizes{.max_rows = 4, .max_samples = 2, .max_model_len = 8};
  Workspace workspace(config, sizes, true, true, *backend);
  RowsOnDevice on_device(sizes, 1, *backend);
  const HeadWeights head = load_head(checkpoint, Format::kBf16, *backend, *context);
  const auto width = static_cast<size_t>(config.hidden), vocab = static_cast<size_t>(config.vocab);
  for (size_t i = 0; i < 4 * width; ++i) workspace.hidden[i] = static_cast<float>(i % 17) - 8;
  std::vector<float> hidden(workspace.hidden, workspace.hidden + 4 * width);
  const LayerRun run{config, backend->ops(), *context, ActivationType::kF32, workspace};
  Rows rows;
  rows.tokens = rows.positions = {0, 0, 0, 0};
  rows.sampled = {1, 3};
  forward_head(run, head, on_device.upload(rows, *context));
  const std::vector<float> both(workspace.logits, workspace.logits + 2 * vocab);
  EXPECT_TRUE(std::equal(hidden.begin(), hidden.end(), workspace.hidden)) << "hidden was changed";
  rows.sampled = {3};
  forward_head(run, head, on_device.upload(rows, *context));
  EXPECT_TRUE(std::equal(workspace.logits, workspace.logits + vocab, both.begin() + config.vocab));
  EXPECT_FALSE(std::equal(workspace.logits, workspace.logits + vocab, both.begin()));
}

}  // namespace
}  // namespace llmpq
