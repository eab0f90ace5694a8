#include "input/families.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "input/tensor_places.hpp"

namespace llmpq {
namespace {

/// A small config with the features that the family's table has names for.
ModelConfig small_config(const Family& family) {
  using enum TensorRole;
  const auto named = [&](TensorRole role) {
    return std::ranges::find(family.tensors, role, &TensorName::role) != family.tensors.end();
  };
  ModelConfig config;
  config.family = family.name;
  config.layers = 2;
  config.hidden = config.ffn = 16;
  config.heads = config.kv_heads = 2;
  config.head_dim = 8;
  config.vocab = 10;
  config.max_positions = 12;
  config.gated = named(kGate);
  config.norm_bias = named(kInputNormBias);
  config.qkv_bias = named(kQBias);
  config.out_bias = named(kOutBias);
  config.ffn_bias = named(kDownBias);
  config.qk_norm = named(kQNorm);
  config.embedding_norm = named(kEmbeddingNorm);
  config.experts = named(kRouter) ? 3 : 0;
  config.projected_width = named(kProjectIn) ? 8 : 0;
  if (named(kAttentionNorm)) config.norm_place = NormPlace::kBoth;
  if (named(kPositionEmbedding)) config.position = PositionKind::kLearned;
  return config;
}

TEST(Families, EachTableNamesExactlyTheTensorsOfItsModels) {
  for (const Family& family : families()) {
    SCOPED_TRACE(std::string(family.name));
    const ModelConfig config = small_config(family);
    std::set<TensorRole> named;
    for (const auto& row : family.tensors) named.insert(row.role);
    for (const TensorRole role : all_tensor_roles())
      EXPECT_EQ(named.contains(role), shape_of(config, role).has_value()) << name(role);
    for (const auto& row : family.tensors)
      EXPECT_EQ(row.name.find("{}") != std::string_view::npos,
                shape_of(config, row.role)->per_layer)
          << row.name;
  }
}

TEST(Families, NamesAreUniqueButForTensorsThatAreShared) {
  for (const Family& family : families()) {
    SCOPED_TRACE(std::string(family.name));
    const ModelConfig config = small_config(family);
    std::set<std::string> names;
    for (const TensorRole role : all_tensor_roles()) {
      if (!shape_of(config, role)) continue;
      const bool shared = rows_of_tensor(config, family, role) != shape_of(config, role)->rows;
      for (const auto& name : tensor_names(family, role, 1))
        EXPECT_TRUE(names.insert(name).second || shared) << name;
    }
  }
}

TEST(Families, TensorNamesHaveTheLayersIndex) {
  const Family& llama = family_named("llama");
  EXPECT_EQ(tensor_names(llama, TensorRole::kQ, 7),
            std::vector<std::string>{"layers.7.self_attn.q_proj.weight"});
  EXPECT_EQ(tensor_names(llama, TensorRole::kHead, 0), std::vector<std::string>{"lm_head.weight"});
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
