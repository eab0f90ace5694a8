#include "plan/stage_parts.hpp"

#include <gtest/gtest.h>

namespace llmpq {
namespace {

TEST(StageParts, AlikeLayersAreTogetherAndTheEndsHaveTheirs) {
  ModelConfig config;
  config.layers = 6;
  config.window = {8, 0, 8, 0, 8, 0};
  StagePlan first;
  first.layer_end = 4;
  first.formats = {Format::kW4, Format::kW4, Format::kW4, Format::kW8};
  const StageParts parts = stage_parts(first, Format::kBf16, config);
  EXPECT_TRUE(parts.embedding);
  EXPECT_FALSE(parts.head);
  ASSERT_EQ(parts.layers.size(), 3u);
  EXPECT_EQ(parts.layers[0].window, 8);
  EXPECT_EQ(parts.layers[0].count, 2);
  EXPECT_EQ(parts.layers[2].format, Format::kW8);
  StagePlan last;
  last.layer_begin = 4;
  last.layer_end = 6;
  last.formats = {Format::kW3, Format::kW3};
  const StageParts end = stage_parts(last, Format::kW8, config);
  EXPECT_FALSE(end.embedding);
  EXPECT_EQ(end.head, Format::kW8);
  EXPECT_EQ(end.layers.size(), 2u) << "their windows differ";
}

}  // namespace
}  // namespace llmpq
