// The families with layer norms and a plain feed-forward part, from GPT-2 on.
#include <nlohmann/json.hpp>

#include "input/config_parts.hpp"

namespace llmpq {
namespace {

/// The three ways in which Falcon models share K and V among heads.
void read_falcon_heads(const ConfigReader& reader, ModelConfig& config, bool new_decoder) {
  read_heads(reader, config, reader.first_of({"num_attention_heads", "n_head"}));
  if (new_decoder)
    config.kv_heads = reader.size_or("num_kv_heads", kMostHeads, config.heads);
  else if (reader.flag_or("multi_query", true))
    config.kv_heads = 1;
  CHECK(config.heads % config.kv_heads == 0, Exit::kModel,
        "{}: num_kv_heads: want a divisor of the {} heads, found {}", reader.what(), config.heads,
        config.kv_heads);
}

/// Whether attention and feed-forward stand beside each other, and with how many norms.
void read_falcon_norms(const ConfigReader& reader, ModelConfig& config, bool new_decoder) {
  config.parallel = new_decoder || reader.flag_or("parallel_attn", true);
  const int64_t norms = reader.size_or("num_ln_in_parallel_attn", 2, new_decoder ? 2 : 1);
  if (config.parallel && !new_decoder && norms != 1)
    reader.refuse("num_ln_in_parallel_attn", "1 unless new_decoder_architecture is true");
  config.shared_norm = config.parallel && norms == 1;
}

}  // namespace

void read_opt(const ConfigReader& reader, ModelConfig& config) {
  config.layers = reader.size("num_hidden_layers", kMostLayers);
  config.hidden = reader.size("hidden_size", kMostHidden);
  config.ffn = reader.size("ffn_dim", kMostFfn);
  config.vocab = reader.size("vocab_size", kMostVocab);
  config.max_positions = reader.size("max_position_embeddings", kMostPositions);
  read_heads(reader, config, "num_attention_heads");
  set_layer_norm(config, 1e-5);  // no key for it
  config.activation = read_activation(reader, "activation_function", "relu");
  config.gated = false;
  config.position = PositionKind::kLearned;
  config.position_offset = 2;
  set_biases(config, reader.flag_or("enable_bias", true));
  config.tied_head = reader.flag_or("tie_word_embeddings", true);
  config.window.assign(static_cast<size_t>(config.layers), 0);
  if (!reader.flag_or("do_layer_norm_before", true)) {  // OPT-350m
    config.norm_place = NormPlace::kAfter;
    config.final_norm = false;
  }
  const int64_t columns = reader.size_or("word_embed_proj_dim", kMostHidden, config.hidden);
  if (columns > config.hidden)
    reader.refuse("word_embed_proj_dim", fmt::format("at most hidden_size ({})", config.hidden));
  if (columns < config.hidden) config.projected_width = columns;
  if (!reader.flag_or("layer_norm_elementwise_affine", true))
    reader.refuse("layer_norm_elementwise_affine", "true (a norm without weight is not supported)");
  if (reader.flag_or("_remove_final_layer_norm", false)) config.final_norm = false;
}

void read_bloom(const ConfigReader& reader, ModelConfig& config) {
  config.layers = reader.size(reader.first_of({"n_layer", "num_hidden_layers"}), kMostLayers);
  config.hidden = reader.size(reader.first_of({"hidden_size", "n_embed"}), kMostHidden);
  config.ffn = 4 * config.hidden;
  config.vocab = reader.size("vocab_size", kMostVocab);
  config.max_positions = reader.size_or("seq_length", kMostPositions, 2048);
  read_heads(reader, config, reader.first_of({"n_head", "num_attention_heads"}));
  set_layer_norm(config, reader.number_or("layer_norm_epsilon", 0, 1, 1e-5));
  config.activation = ActivationArgs::Kind::kGeluTanh;
  config.gated = false;
  config.position = PositionKind::kAlibi;
  config.embedding_norm = true;
  set_biases(config, true);
  config.tied_head = reader.flag_or("tie_word_embeddings", true);
  config.window.assign(static_cast<size_t>(config.layers), 0);
  reader.refuse_if_set("apply_residual_connection_post_layernorm");
}

void read_gpt2(const ConfigReader& reader, ModelConfig& config) {
  config.layers = reader.size(reader.first_of({"n_layer", "num_hidden_layers"}), kMostLayers);
  config.hidden = reader.size(reader.first_of({"n_embd", "hidden_size"}), kMostHidden);
  config.ffn = reader.size_or("n_inner", kMostFfn, 4 * config.hidden);
  config.vocab = reader.size("vocab_size", kMostVocab);
  config.max_positions =
      reader.size(reader.first_of({"n_positions", "max_position_embeddings"}), kMostPositions);
  read_heads(reader, config, reader.first_of({"n_head", "num_attention_heads"}));
  set_layer_norm(config, reader.number_or("layer_norm_epsilon", 0, 1, 1e-5));
  config.activation = read_activation(reader, "activation_function", "gelu_new");
  config.gated = false;
  config.position = PositionKind::kLearned;
  set_biases(config, true);
  config.tied_head = reader.flag_or("tie_word_embeddings", true);
  config.window.assign(static_cast<size_t>(config.layers), 0);
  if (!reader.flag_or("scale_attn_weights", true))
    reader.refuse("scale_attn_weights", "true (attention without a scale is not supported)");
  reader.refuse_if_set("scale_attn_by_inverse_layer_idx");
  reader.refuse_if_set("add_cross_attention");
}

void read_gpt_neox(const ConfigReader& reader, ModelConfig& config) {
  config.layers = reader.size("num_hidden_layers", kMostLayers);
  config.hidden = reader.size("hidden_size", kMostHidden);
  config.ffn = reader.size("intermediate_size", kMostFfn);
  config.vocab = reader.size("vocab_size", kMostVocab);
  config.max_positions = reader.size("max_position_embeddings", kMostPositions);
  read_heads(reader, config, "num_attention_heads");
  set_layer_norm(config, reader.number_or("layer_norm_eps", 0, 1, 1e-5));
  config.activation = read_activation(reader, "hidden_act", "gelu");
  config.gated = false;
  config.parallel = reader.flag_or("use_parallel_residual", true);
  config.ffn_bias = true;
  config.qkv_bias = config.out_bias = reader.flag_or("attention_bias", true);
  config.tied_head = reader.flag_or("tie_word_embeddings", false);
  config.window.assign(static_cast<size_t>(config.layers), 0);
  read_rope(reader, config, {"rotary_emb_base", "rotary_pct", 0.25, true});
}

void read_falcon(const ConfigReader& reader, ModelConfig& config) {
  config.layers = reader.size(reader.first_of({"num_hidden_layers", "n_layer"}), kMostLayers);
  config.hidden = reader.size(reader.first_of({"hidden_size", "n_embed"}), kMostHidden);
  config.ffn = reader.size_or("ffn_hidden_size", kMostFfn, 4 * config.hidden);
  config.vocab = reader.size("vocab_size", kMostVocab);
  config.max_positions = reader.size_or("max_position_embeddings", kMostPositions, 2048);
  const bool new_decoder = reader.flag_or("new_decoder_architecture", false);
  read_falcon_heads(reader, config, new_decoder);
  read_falcon_norms(reader, config, new_decoder);
  set_layer_norm(config, reader.number_or("layer_norm_epsilon", 0, 1, 1e-5));
  config.activation = read_activation(reader, "activation", "gelu");
  config.gated = false;
  set_biases(config, reader.flag_or("bias", false));
  config.tied_head = reader.flag_or("tie_word_embeddings", true);
  config.window.assign(static_cast<size_t>(config.layers), 0);
  if (reader.flag_or("alibi", false)) {
    config.position = PositionKind::kAlibi;
    config.alibi_scaled = true;
  } else {
    read_rope(reader, config);
  }
}

}  // namespace llmpq
