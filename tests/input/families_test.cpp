#include "input/families.hpp"

#include <gtest/gtest.h>

#include <set>

#include "input/tensor_places.hpp"

namespace llmpq {
namespace {

/// A small config of each family in which every feature of the table is on.
ModelConfig small_config(const Family& family) {
  ModelConfig config;
  config.family = family.name;
  config.layers = 2;
  config.hidden = config.ffn = 16;
  config.heads = config.kv_heads = 2;
  config.head_dim = 8;
  config.vocab = 10;
  config.max_positions = 12;
  const bool has_rope = family.prefixes.front() == "model.";
  config.gated = has_rope;
  config.norm_bias = !has_rope;
  config.qkv_bias = config.out_bias = config.ffn_bias = true;
  config.embedding_norm = family.name == "bloom";
  if (family.name == "opt") config.position = PositionKind::kLearned;
  return config;
}

TEST(Families, EachTableNamesExactlyTheTensorsOfItsModels) {
  for (const Family& family : families()) {
    SCOPED_TRACE(std::string(family.name));
    const ModelConfig config = small_config(family);
    std::set<TensorRole> named;
    for (const auto& row : family.tensors) EXPECT_TRUE(named.insert(row.role).second);
    for (const TensorRole role : all_tensor_roles())
      EXPECT_EQ(named.contains(role), shape_of(config, role).has_value()) << name(role);
    for (const auto& row : family.tensors)
      EXPECT_EQ(row.name.find("{}") != std::string_view::npos,
                shape_of(config, row.role)->per_layer)
          << row.name;
  }
}

TEST(Families, NamesAreUniqueButForFusedTensors) {
  for (const Family& family : families()) {
    SCOPED_TRACE(std::string(family.name));
    std::set<std::string> names;
    for (const auto& row : family.tensors) {
      const bool is_new = names.insert(tensor_name(family, row.role, 1)).second;
      EXPECT_TRUE(is_new || is_fused(family, row.role)) << row.name;
    }
  }
}

TEST(Families, TensorNamesHaveTheLayersIndex) {
  const Family& llama = family_named("llama");
  EXPECT_EQ(tensor_name(llama, TensorRole::kQ, 7), "layers.7.self_attn.q_proj.weight");
  EXPECT_EQ(tensor_name(llama, TensorRole::kHead, 0), "lm_head.weight");
}

TEST(Families, PrefixesMayBeMissing) {
  const Family& opt = family_named("opt");
  EXPECT_EQ(without_prefix(opt, "model.decoder.layers.0.fc1.bias"), "layers.0.fc1.bias");
  EXPECT_EQ(without_prefix(opt, "decoder.layers.0.fc1.bias"), "layers.0.fc1.bias");
  EXPECT_EQ(without_prefix(opt, "layers.0.fc1.bias"), "layers.0.fc1.bias");
}

TEST(Families, NoTensorIsTakenForABuffer) {
  EXPECT_TRUE(is_buffer("layers.0.self_attn.rotary_emb.inv_freq"));
  EXPECT_TRUE(is_buffer("h.0.attn.bias"));
  EXPECT_TRUE(is_buffer("h.0.attn.masked_bias"));
  for (const Family& family : families())
    for (const auto& row : family.tensors) EXPECT_FALSE(is_buffer(row.name)) << row.name;
}

}  // namespace
}  // namespace llmpq
