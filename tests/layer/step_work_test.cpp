#include "layer/step_work.hpp"

#include <gtest/gtest.h>

#include "test_model.hpp"

namespace llmpq {
namespace {

constexpr StepShape kShape{.prefill_rows = 7,
                           .prefill_keys = 28,
                           .decode_rows = 2,
                           .decode_keys = 30,
                           .samples = 3,
                           .prefill_context = 7};

TEST(StepWork, OperationsOfALayerAreItsProductsAndItsKeys) {
  const ModelConfig c = small_llama();  // hidden 60, ffn 100, heads 6 over 2 of 22
  const StepWork work = layer_work(c, {Format::kBf16, ActivationType::kF32}, kShape);
  const double weights = (6 + 2 * 2) * 22 * 60 + 60 * 6 * 22 + 2 * 100 * 60 + 60 * 100;
  EXPECT_EQ(work.of(Unit::kF32), 2 * 9 * weights + 4 * 6 * 22 * (28 + 30));
  EXPECT_EQ(work.all_operations(), work.of(Unit::kF32));
}

TEST(StepWork, BytesAreTheWeightsOnceAndTheCache) {
  const ModelConfig c = small_llama();
  const WorkKind kind{Format::kW4, ActivationType::kInt8, DType::kBf16};
  const double weights = static_cast<double>(layer_bytes(c, Format::kW4, BackendKind::kCpu));
  EXPECT_EQ(layer_work(c, kind, {}).bytes, weights);
  EXPECT_EQ(layer_work(c, kind, kShape).bytes, weights + (7 + 30) * 2 * 2 * 22 * 2);
  const WorkKind int8{Format::kW4, ActivationType::kInt8, DType::kInt8};
  EXPECT_EQ(layer_work(c, int8, kShape).bytes, weights + (7 + 30) * 2 * 2 * (22 + 4));
}

TEST(StepWork, UnitsFollowFormatAndInputs) {
  using enum ActivationType;
  const auto unit = [](BackendKind backend, Format format, ActivationType activation) {
    return product_unit({format, activation, DType::kBf16, backend});
  };
  EXPECT_EQ(unit(BackendKind::kCpu, Format::kW4, kInt8), Unit::kInt8);
  EXPECT_EQ(unit(BackendKind::kCpu, Format::kW4, kF32), Unit::kF32);
  EXPECT_EQ(unit(BackendKind::kCpu, Format::kBf16, kInt8), Unit::kF32);
  EXPECT_EQ(unit(BackendKind::kCpu, Format::kBf16, kBf16), Unit::kHalf);
  EXPECT_EQ(unit(BackendKind::kCpu, Format::kF16, kBf16), Unit::kF32);
  EXPECT_EQ(unit(BackendKind::kCuda, Format::kW4, kBf16), Unit::kHalf);
  EXPECT_EQ(unit(BackendKind::kCuda, Format::kBf16, kF32), Unit::kF32);
  // Attention goes its own way.
  const StepWork gpu =
      layer_work(small_llama(), {Format::kW4, kF32, DType::kBf16, BackendKind::kCuda}, kShape);
  EXPECT_EQ(gpu.of(Unit::kHalf), 4 * 6 * 22 * (28 + 30));
}

TEST(StepWork, OnlyRowsThatChooseATokenReachTheHead) {
  const ModelConfig c = small_llama();
  StepShape none = kShape;
  none.samples = 0;
  EXPECT_EQ(head_work(c, {}, none).bytes, 0);
  const StepWork work = head_work(c, {}, kShape);
  EXPECT_EQ(work.bytes, static_cast<double>(head_bytes(c, Format::kBf16, BackendKind::kCpu)));
  EXPECT_EQ(work.of(Unit::kF32), 2.0 * 3 * 131 * 60);
  EXPECT_EQ(embedding_work(c, kShape).bytes, 9 * 60 * 2);
}

TEST(StepWork, AddsUp) {
  StepWork sum = head_work(small_llama(), {}, kShape);
  const StepWork one = sum;
  sum += one;
  EXPECT_EQ(sum.bytes, 2 * one.bytes);
  EXPECT_EQ(sum.all_operations(), 2 * one.all_operations());
}

}  // namespace
}  // namespace llmpq
