#include "profile/latency_model.hpp"

#include <gtest/gtest.h>

namespace llmpq {
namespace {

TEST(Curve, IsPiecewiseLinear) {
  const Curve curve{{2, 4, 16}, {10, 12, 48}};
  EXPECT_DOUBLE_EQ(curve.at(2), 10);
  EXPECT_DOUBLE_EQ(curve.at(3), 11);
  EXPECT_DOUBLE_EQ(curve.at(4), 12);
  EXPECT_DOUBLE_EQ(curve.at(8), 24);
  EXPECT_DOUBLE_EQ(curve.at(16), 48);
}

TEST(Curve, HasAFixedCostBelowAndTheLastSlopeBeyond) {
  const Curve curve{{2, 4, 16}, {10, 12, 48}};
  EXPECT_DOUBLE_EQ(curve.at(0), 10);
  EXPECT_DOUBLE_EQ(curve.at(1), 10);
  EXPECT_DOUBLE_EQ(curve.at(18), 54);
  EXPECT_DOUBLE_EQ(curve.at(100), 300);
}

TEST(Curve, NeverFallsBeyondItsPoints) {
  const Curve noisy{{1, 2, 3}, {1, 5, 4}};
  EXPECT_DOUBLE_EQ(noisy.at(2.5), 4.5);
  EXPECT_DOUBLE_EQ(noisy.at(1000), 4);
}

TEST(Curve, OfFewPoints) {
  EXPECT_DOUBLE_EQ(Curve{}.at(7), 0);
  const Curve one{{8}, {4}};
  EXPECT_DOUBLE_EQ(one.at(1), 4);
  EXPECT_DOUBLE_EQ(one.at(16), 8);
}

LatencyModel some_model() {
  LatencyModel model;
  model.layer[Format::kW8] = {{1, 101}, {1, 2}};
  model.prefill_key_s = 0.5;
  model.decode_key_s = 0.25;
  model.embedding = {{1, 11}, {0, 1}};
  model.head[Format::kBf16] = {{1, 2}, {3, 5}};
  return model;
}

TEST(LatencyModel, ALayerTakesItsRowsAndItsKeys) {
  StepShape shape;
  shape.prefill_rows = 40;
  shape.prefill_keys = 10;
  shape.decode_rows = 11;
  shape.decode_keys = 8;
  EXPECT_DOUBLE_EQ(layer_seconds(some_model(), Format::kW8, shape).value(), 1.5 + 5 + 2);
  EXPECT_EQ(layer_seconds(some_model(), Format::kW4, shape), std::nullopt);
}

TEST(LatencyModel, EmbeddingAndHead) {
  StepShape shape;
  shape.prefill_rows = 6;
  EXPECT_DOUBLE_EQ(embedding_seconds(some_model(), shape), 0.5);
  EXPECT_DOUBLE_EQ(head_seconds(some_model(), Format::kBf16, shape).value(), 0);
  shape.samples = 2;
  EXPECT_DOUBLE_EQ(head_seconds(some_model(), Format::kBf16, shape).value(), 5);
  EXPECT_EQ(head_seconds(some_model(), Format::kF16, shape), std::nullopt);
}

TEST(StepShape, CountsKeys) {
  EXPECT_EQ(keys_of(0, 1), 1);
  EXPECT_EQ(keys_of(0, 4), 1 + 2 + 3 + 4);
  EXPECT_EQ(keys_of(7, 3), 8 + 9 + 10);
  EXPECT_EQ(keys_of(7, 3, 0), 8 + 9 + 10);
  EXPECT_EQ(keys_of(2, 4, 4), 3 + 4 + 4 + 4) << "a window of 4 keys";
  EXPECT_EQ(keys_of(9, 2, 4), 4 + 4);
}

TEST(LinkModel, HasLatencyAndSpeed) { EXPECT_DOUBLE_EQ((LinkModel{2, 0.5}.seconds(10)), 7); }

}  // namespace
}  // namespace llmpq
