// The order in which a stage's weights are read: each matrix knows the bytes that come after it.
#include "layer/reading_order.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/cpu/context.hpp"

namespace llmpq {
namespace {

std::vector<LayerWeights> some_layers(int64_t experts) {
  std::vector<LayerWeights> layers(2);
  const auto fill = [](Matrix& matrix) { matrix.packed = allocate_host(64); };
  for (LayerWeights& layer : layers) {
    for (Linear* part : {&layer.qkv, &layer.out, &layer.up, &layer.down, &layer.router})
      fill(part->matrix);
    layer.experts.resize(static_cast<size_t>(experts));
    for (Expert& expert : layer.experts) {
      fill(expert.up.matrix);
      fill(expert.down.matrix);
    }
  }
  return layers;
}

bool comes_after(const Linear& second, const Linear& first) {
  return first.matrix.next.data() == second.matrix.packed.data() &&
         std::ssize(first.matrix.next) == second.matrix.packed.bytes();
}

TEST(ReadingOrder, GoesThroughTheLayersToTheHeadAndBeginsAnew) {
  std::vector<LayerWeights> layers = some_layers(0);
  HeadWeights head;
  head.matrix.matrix.packed = allocate_host(128);
  tell_reading_order(layers, &head);
  for (const LayerWeights& layer : layers) {
    EXPECT_TRUE(comes_after(layer.out, layer.qkv));
    EXPECT_TRUE(comes_after(layer.up, layer.out));
    EXPECT_TRUE(comes_after(layer.down, layer.up));
  }
  EXPECT_TRUE(comes_after(layers[1].qkv, layers[0].down));
  EXPECT_TRUE(comes_after(head.matrix, layers[1].down));
  EXPECT_TRUE(comes_after(layers[0].qkv, head.matrix));
}

TEST(ReadingOrder, BeginsAnewWithoutAHead) {
  std::vector<LayerWeights> layers = some_layers(0);
  tell_reading_order(layers, nullptr);
  EXPECT_TRUE(comes_after(layers[0].qkv, layers[1].down));
}

TEST(ReadingOrder, IsUnknownWhereRoutesDecide) {
  std::vector<LayerWeights> layers = some_layers(2);
  HeadWeights head;
  head.matrix.matrix.packed = allocate_host(128);
  tell_reading_order(layers, &head);
  for (const LayerWeights& layer : layers) {
    EXPECT_TRUE(comes_after(layer.out, layer.qkv));
    EXPECT_TRUE(comes_after(layer.router, layer.out));
    EXPECT_TRUE(layer.router.matrix.next.empty());
    for (const Expert& expert : layer.experts) {
      EXPECT_TRUE(comes_after(expert.down, expert.up));
      EXPECT_TRUE(expert.down.matrix.next.empty());
    }
  }
  EXPECT_TRUE(comes_after(layers[0].qkv, head.matrix));
}

TEST(ReadingOrder, OfNothingIsNothing) {
  tell_reading_order({}, nullptr);
  HeadWeights head;
  head.matrix.matrix.packed = allocate_host(128);
  tell_reading_order({}, &head);
  EXPECT_TRUE(comes_after(head.matrix, head.matrix));
}

}  // namespace
}  // namespace llmpq
