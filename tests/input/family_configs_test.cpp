// What the config readers of single families decide. That the rest is read right is shown by
// tests/layer/parity_test.cpp, family by family.
#include "input/family_configs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "input/model_files.hpp"
#include "input/tensor_shapes.hpp"

namespace llmpq {
namespace {

using nlohmann::json;
using test::expect_error;

ModelConfig parse(const json& config) {
  return parse_model_config(config.dump(), "", "folder/config.json");
}

/// The base with one key changed.
json with(json config, const char* key, const json& value) {
  config[key] = value;
  return config;
}

template <typename... Parts>
void expect_refused(const json& config, const Parts&... parts) {
  expect_error([&] { parse(config); }, Exit::kModel, parts...);
}

TEST(RopeConfig, YarnsAttentionFactorIsByTheScalingsFactor) {
  json config = json::parse(R"({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2,
    "intermediate_size": 64, "num_attention_heads": 4, "vocab_size": 100,
    "max_position_embeddings": 4096,
    "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}})");
  EXPECT_NEAR(parse(config).rope_scaling.attention_factor, 0.1 * std::log(4.0) + 1, 1e-12);
  EXPECT_EQ(parse(config).rope_scaling.original_max_positions, 1024);
  config["rope_scaling"]["attention_factor"] = 1.5;
  EXPECT_EQ(parse(config).rope_scaling.attention_factor, 1.5);
  config["rope_scaling"].erase("factor");
  expect_refused(config, "rope_scaling: factor: missing");
}

TEST(Qwen3Config, WantsTheKeysWhoseDefaultsDoNotFollowTheOthers) {
  const json config = json::parse(R"({"model_type": "qwen3", "hidden_size": 64,
    "num_hidden_layers": 2, "intermediate_size": 64, "num_attention_heads": 4, "vocab_size": 100,
    "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 4096})");
  EXPECT_TRUE(parse(config).qk_norm);
  EXPECT_FALSE(parse(config).qkv_bias);
  EXPECT_EQ(parse(config).head_dim, 32);
  expect_refused(with(config, "head_dim", nullptr), "head_dim: missing");
}

TEST(MixtralConfig, CountsItsExperts) {
  const json config = json::parse(R"({"model_type": "mixtral", "hidden_size": 64,
    "num_hidden_layers": 2, "intermediate_size": 48, "num_attention_heads": 4, "vocab_size": 100,
    "num_key_value_heads": 2, "max_position_embeddings": 4096, "num_local_experts": 8,
    "num_experts_per_tok": 2, "sliding_window": null})");
  const ModelConfig c = parse(config);
  EXPECT_EQ(c.experts, 8);
  EXPECT_TRUE(c.experts_normalized);
  EXPECT_EQ(parameter_count(c) - parameter_count(parse(with(config, "num_local_experts", 7))),
            2 * (3 * 48 * 64 + 64));
  expect_refused(with(config, "num_experts_per_tok", 9), "num_experts_per_tok: want at most the 8");
}

TEST(Qwen3MoeConfig, WantsExpertsInEveryLayer) {
  const json config = json::parse(R"({"model_type": "qwen3_moe", "hidden_size": 64,
    "num_hidden_layers": 2, "intermediate_size": 256, "num_attention_heads": 4, "vocab_size": 100,
    "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 4096, "num_experts": 8,
    "num_experts_per_tok": 2, "moe_intermediate_size": 24, "decoder_sparse_step": 1,
    "mlp_only_layers": []})");
  EXPECT_EQ(parse(config).ffn, 24);
  EXPECT_FALSE(parse(config).experts_normalized);
  expect_refused(with(config, "decoder_sparse_step", 2), "decoder_sparse_step: want 1");
  expect_refused(with(config, "mlp_only_layers", {0}), "mlp_only_layers: want no layers");
}

TEST(Phi3Config, ReadsLongRope) {
  json config = json::parse(R"({"model_type": "phi3", "hidden_size": 64, "num_hidden_layers": 2,
    "intermediate_size": 64, "num_attention_heads": 4, "vocab_size": 100,
    "max_position_embeddings": 4096, "original_max_position_embeddings": 1024,
    "partial_rotary_factor": 0.75,
    "rope_scaling": {"type": "su", "short_factor": [1, 1, 1, 1.5, 2, 3],
                     "long_factor": [1, 2, 4, 8, 16, 32]}})");
  const ModelConfig c = parse(config);
  EXPECT_EQ(c.rotary_dim, 12);
  EXPECT_EQ(c.rope_scaling.kind, RopeScaling::Kind::kLongRope);
  EXPECT_EQ(c.rope_scaling.original_max_positions, 1024);
  EXPECT_NEAR(c.rope_scaling.attention_factor, std::sqrt(1 + std::log(4.0) / std::log(1024.0)),
              1e-12);
  EXPECT_EQ(c.window, (std::vector<int64_t>{0, 0}));
  config["rope_scaling"]["long_factor"] = {1, 2, 3};
  expect_refused(config, "rope_scaling: long_factor: want 6 numbers");
  config["rope_scaling"]["long_factor"] = {1, 2, 3, 4, 5, 0};
  expect_refused(config, "rope_scaling: long_factor: want 6 numbers");
}

TEST(Gemma2Config, EveryOtherLayerSlidesAndNullTakesACapAway) {
  const json config = json::parse(R"({"model_type": "gemma2", "hidden_size": 64,
    "num_hidden_layers": 3, "intermediate_size": 64, "num_attention_heads": 4, "vocab_size": 100,
    "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 4096,
    "query_pre_attn_scalar": 16, "sliding_window": 100})");
  const ModelConfig c = parse(config);
  EXPECT_EQ(c.window, (std::vector<int64_t>{100, 0, 100}));
  EXPECT_EQ(c.attention_scale, 0.25f);
  EXPECT_EQ(c.embedding_scale, 8.0f);
  EXPECT_EQ(c.attention_soft_cap, 50.0f);
  EXPECT_TRUE(c.tied_head);
  EXPECT_EQ(parse(with(config, "final_logit_softcapping", nullptr)).logit_soft_cap, 0.0f);
  expect_refused(with(config, "use_bidirectional_attention", true), "use_bidirectional_attention");
}

TEST(Gpt2Config, RefusesOtherAttentionScales) {
  const json config = json::parse(R"({"model_type": "gpt2", "n_embd": 64, "n_layer": 2,
    "n_head": 4, "n_positions": 128, "vocab_size": 100})");
  EXPECT_EQ(parse(config).ffn, 256);
  EXPECT_EQ(parse(config).position, PositionKind::kLearned);
  expect_refused(with(config, "scale_attn_weights", false), "scale_attn_weights: want true");
  expect_refused(with(config, "scale_attn_by_inverse_layer_idx", true),
                 "scale_attn_by_inverse_layer_idx: want false");
}

TEST(GptNeoxConfig, RotatesAPartOfEachHead) {
  const json config = json::parse(R"({"model_type": "gpt_neox", "hidden_size": 64,
    "num_hidden_layers": 2, "intermediate_size": 64, "num_attention_heads": 4, "vocab_size": 100,
    "max_position_embeddings": 128})");
  EXPECT_EQ(parse(config).rotary_dim, 4);
  EXPECT_TRUE(parse(config).parallel);
  EXPECT_EQ(parse(with(config, "rotary_pct", 0.5)).rotary_dim, 8);
  EXPECT_EQ(parse(with(config, "rotary_emb_base", 500)).rope_theta, 500);
  expect_refused(with(config, "rotary_pct", 0.2), "an even number of rotated elements, found 3");
}

TEST(FalconConfig, SharesKeysInThreeWays) {
  const json config = json::parse(R"({"model_type": "falcon", "hidden_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 8, "vocab_size": 100, "num_kv_heads": 2})");
  EXPECT_EQ(parse(config).kv_heads, 1);
  EXPECT_TRUE(parse(config).parallel && parse(config).shared_norm);
  const ModelConfig one_each = parse(with(config, "multi_query", false));
  EXPECT_EQ(one_each.kv_heads, 8);
  const json new_decoder = with(config, "new_decoder_architecture", true);
  EXPECT_EQ(parse(new_decoder).kv_heads, 2);
  EXPECT_FALSE(parse(new_decoder).shared_norm);
  EXPECT_TRUE(parse(with(new_decoder, "num_ln_in_parallel_attn", 1)).shared_norm);
  expect_refused(with(config, "num_ln_in_parallel_attn", 2), "num_ln_in_parallel_attn: want 1");
  EXPECT_TRUE(parse(with(config, "alibi", true)).alibi_scaled);
}

}  // namespace
}  // namespace llmpq
