// The families that are built like Llama: RMS norms, a gated feed-forward part, rotary positions.
#include <cmath>
#include <nlohmann/json.hpp>

#include "input/config_parts.hpp"

namespace llmpq {
namespace {

/// The keys that the Llama-like families share.
void read_llama_like(const ConfigReader& reader, ModelConfig& config, const RopeKeys& keys = {}) {
  config.layers = reader.size("num_hidden_layers", kMostLayers);
  config.hidden = reader.size("hidden_size", kMostHidden);
  config.ffn = reader.size("intermediate_size", kMostFfn);
  config.vocab = reader.size("vocab_size", kMostVocab);
  config.max_positions = reader.size("max_position_embeddings", kMostPositions);
  read_grouped_heads(reader, config);
  config.norm = NormArgs::Kind::kRms;
  config.norm_eps = static_cast<float>(reader.number_or("rms_norm_eps", 0, 1, 1e-6));
  config.activation = read_activation(reader, "hidden_act", "silu");
  config.gated = true;
  config.tied_head = reader.flag_or("tie_word_embeddings", false);
  config.window.assign(static_cast<size_t>(config.layers), 0);
  read_rope(reader, config, keys);
}

/// The window holds from layer max_window_layers on, if it is in use at all.
void read_qwen_windows(const ConfigReader& reader, ModelConfig& config) {
  const bool slides = reader.flag_or("use_sliding_window", false);
  const int64_t window = slides ? sliding_window_of(reader) : 0;
  int64_t first = 28;  // transformers' default
  if (reader.has("max_window_layers") && reader.at("max_window_layers") == 0) {
    first = 0;
  } else if (reader.has("max_window_layers")) {
    first = reader.size("max_window_layers", kMostLayers);
  }
  read_windows(reader, config, window, first);
}

void read_experts(const ConfigReader& reader, ModelConfig& config, std::string_view key) {
  config.experts = reader.size(key, kMostExperts);
  config.experts_per_token = reader.size("num_experts_per_tok", kMostExperts);
  CHECK(config.experts_per_token <= config.experts, Exit::kModel,
        "{}: num_experts_per_tok: want at most the {} experts, found {}", reader.what(),
        config.experts, config.experts_per_token);
}

/// In transformers an absent key means `otherwise`, null means none (0).
float soft_cap(const ConfigReader& reader, std::string_view key, double otherwise) {
  if (reader.mentions(key) && !reader.has(key)) return 0;
  return static_cast<float>(reader.number_or(key, 1e-3, 1e9, otherwise));
}

}  // namespace

void read_llama(const ConfigReader& reader, ModelConfig& config) {
  read_llama_like(reader, config);
  config.qkv_bias = config.out_bias = reader.flag_or("attention_bias", false);
  config.ffn_bias = reader.flag_or("mlp_bias", false);
}

void read_mistral(const ConfigReader& reader, ModelConfig& config) {
  reader.at("num_key_value_heads");  // its default in transformers is 8, whatever the heads
  read_llama_like(reader, config);
  read_windows(reader, config, sliding_window_of(reader), 0);
}

void read_qwen2(const ConfigReader& reader, ModelConfig& config) {
  reader.at("num_key_value_heads");  // its default in transformers is 32, whatever the heads
  read_llama_like(reader, config);
  config.qkv_bias = true;
  read_qwen_windows(reader, config);
}

void read_qwen3(const ConfigReader& reader, ModelConfig& config) {
  reader.at("num_key_value_heads");  // their defaults in transformers are 32 and 128,
  reader.at("head_dim");             // whatever the other sizes
  read_llama_like(reader, config);
  config.qk_norm = true;
  config.qkv_bias = config.out_bias = reader.flag_or("attention_bias", false);
  read_qwen_windows(reader, config);
}

void read_mixtral(const ConfigReader& reader, ModelConfig& config) {
  reader.at("num_key_value_heads");  // its default in transformers is 8, whatever the heads
  read_llama_like(reader, config);
  const int64_t window =
      reader.has("sliding_window") ? reader.size("sliding_window", kMostPositions) : 0;
  read_windows(reader, config, window, 0);
  read_experts(reader, config, "num_local_experts");
  config.experts_normalized = true;
}

void read_qwen3_moe(const ConfigReader& reader, ModelConfig& config) {
  read_qwen3(reader, config);
  config.ffn = reader.size("moe_intermediate_size", kMostFfn);
  read_experts(reader, config, reader.first_of({"num_experts", "num_local_experts"}));
  config.experts_normalized = reader.flag_or("norm_topk_prob", false);
  if (reader.size_or("decoder_sparse_step", kMostLayers, 1) != 1)
    reader.refuse("decoder_sparse_step",
                  "1 (layers without experts among others are not supported)");
  if (reader.has("mlp_only_layers") && !reader.at("mlp_only_layers").empty())
    reader.refuse("mlp_only_layers", "no layers (layers without experts are not supported)");
}

void read_phi3(const ConfigReader& reader, ModelConfig& config) {
  read_llama_like(reader, config, {.partial = true});
  if (!reader.has("rms_norm_eps")) config.norm_eps = 1e-5f;  // transformers' default for it
  const int64_t window =
      reader.has("sliding_window") ? reader.size("sliding_window", kMostPositions) : 0;
  read_windows(reader, config, window, 0);
}

void read_gemma2(const ConfigReader& reader, ModelConfig& config) {
  reader.at("num_key_value_heads");  // their defaults in transformers are 4 and 256,
  reader.at("head_dim");             // whatever the other sizes
  read_llama_like(reader, config);
  config.activation = read_activation(reader, "hidden_activation", "gelu_pytorch_tanh");
  config.tied_head = reader.flag_or("tie_word_embeddings", true);
  config.qkv_bias = config.out_bias = reader.flag_or("attention_bias", false);
  config.norm_place = NormPlace::kBoth;
  config.norm_weight_offset = 1;
  config.embedding_scale = std::sqrt(static_cast<float>(config.hidden));
  const double scalar = reader.number_or("query_pre_attn_scalar", 1e-6, 1e9, 256);
  config.attention_scale = static_cast<float>(1 / std::sqrt(scalar));
  config.attention_soft_cap = soft_cap(reader, "attn_logit_softcapping", 50);
  config.logit_soft_cap = soft_cap(reader, "final_logit_softcapping", 30);
  read_windows(reader, config, sliding_window_of(reader), 0, 2);
  reader.refuse_if_set("use_bidirectional_attention");
}

}  // namespace llmpq
