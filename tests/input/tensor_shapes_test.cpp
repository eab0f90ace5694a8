#include "input/tensor_shapes.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace llmpq {
namespace {

TEST(TensorShapes, EveryRoleHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (const TensorRole role : all_tensor_roles()) names.insert(name(role));
  EXPECT_EQ(names.size(), static_cast<size_t>(kTensorRoles));
  EXPECT_EQ(name(TensorRole::kEmbedding), "embedding");
  EXPECT_EQ(name(TensorRole::kPostNormBias), "post_norm_bias");
  EXPECT_EQ(name(TensorRole::kDownBias), "down_bias");
}

TEST(TensorShapes, CountsParameters) {
  // TinyLlama 1.1B: 1,100,048,384.
  ModelConfig config;
  config.layers = 22;
  config.hidden = 2048;
  config.ffn = 5632;
  config.heads = 32;
  config.kv_heads = 4;
  config.head_dim = 64;
  config.vocab = 32000;
  EXPECT_EQ(parameter_count(config), 1'100'048'384);
  config.tied_head = true;
  EXPECT_EQ(parameter_count(config), 1'100'048'384 - 32000 * 2048);
}

}  // namespace
}  // namespace llmpq
