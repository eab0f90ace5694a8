#include "commands/calibration.hpp"

#include <gtest/gtest.h>

#include "base/expect_error.hpp"
#include "layer/memory.hpp"
#include "layer/test_model.hpp"

namespace llmpq {
namespace {

constexpr auto kCpu = BackendKind::kCpu;

/// Two of four layers in w4 and a head in w8, from `begin` on.
StageSetup setup_of(int64_t begin) {
  StageSetup setup;
  setup.plan.layer_begin = begin;
  setup.plan.layer_end = begin + 2;
  setup.plan.formats = {Format::kW4, Format::kW4};
  setup.head_format = Format::kW8;
  return setup;
}

/// What a stage needs is enough, and a byte less is not.
void expect_needs(const StageSetup& setup, const ModelConfig& config, int64_t weights) {
  CalibrationState state;
  state.texts = {{1, 2, 3}, {4, 5}};
  RankReport rank;
  rank.rank = 3;
  rank.threads = 2;
  rank.memory_bytes = weights + calibration_bytes(config, 5, 2);
  check_calibration_fits(setup, config, state, rank);
  --rank.memory_bytes;
  EXPECT_ERROR(check_calibration_fits(setup, config, state, rank), Exit::kNoPlan,
               "on rank 3 while layers are loaded");
}

/// Host memory is no matter there; a layer in 16 bits besides the integers is.
TEST(Calibration, CountsWhatAGpuMustHold) {
  constexpr auto kCuda = BackendKind::kCuda;
  ModelConfig config = small_llama();
  config.layers = 4;
  const CalibrationState state{.texts = {{1, 2, 3}, {4, 5}}, .hidden = {}};
  StageSetup setup = setup_of(1);
  setup.sizes.max_model_len = 64;
  RankReport rank;
  rank.backend = kCuda;
  rank.memory_bytes = 2 * layer_bytes(config, Format::kW4, kCuda) +
                      layer_bytes(config, format_16bit(config), kCuda) +
                      calibration_device_bytes(config, state.texts, 64, kCuda);
  check_calibration_fits(setup, config, state, rank);
  --rank.memory_bytes;
  EXPECT_ERROR(check_calibration_fits(setup, config, state, rank), Exit::kNoPlan,
               "on rank 0 while layers are loaded");
}

/// The vocabulary outweighs the layers here, as in small models.
TEST(Calibration, CountsEmbeddingAndHeadWhereAStageHasThem) {
  ModelConfig config = small_llama();
  config.layers = 4;
  config.vocab = 50'000;
  const int64_t layers = 2 * layer_bytes(config, Format::kW4, kCpu);
  const int64_t rounded = layer_bytes(config, format_16bit(config), kCpu);
  const int64_t embedding = embedding_bytes(config, kCpu);
  const int64_t head = head_bytes(config, Format::kW8, kCpu);
  ASSERT_GT(head, rounded);
  expect_needs(setup_of(0), config, embedding + layers + rounded);
  expect_needs(setup_of(1), config, layers + rounded);
  expect_needs(setup_of(2), config, layers + head);
  config.layers = 2;
  expect_needs(setup_of(0), config, embedding + layers + head);
  config.vocab = 100;
  expect_needs(setup_of(0), config, embedding_bytes(config, kCpu) + layers + rounded);
}

}  // namespace
}  // namespace llmpq
