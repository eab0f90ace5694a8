#include "input/family_configs.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace llmpq {
namespace {

using Activation = ActivationArgs::Kind;

Activation read_activation(const ConfigReader& reader, std::string_view key,
                           std::string_view otherwise) {
  constexpr std::array<std::pair<std::string_view, Activation>, 7> kNames{{
      {"silu", Activation::kSilu},
      {"swish", Activation::kSilu},
      {"relu", Activation::kRelu},
      {"gelu", Activation::kGeluErf},
      {"gelu_new", Activation::kGeluTanh},
      {"gelu_fast", Activation::kGeluTanh},
      {"gelu_pytorch_tanh", Activation::kGeluTanh},
  }};
  const std::string text = reader.text_or(key, otherwise);
  for (const auto& [name, kind] : kNames)
    if (name == text) return kind;
  reader.refuse(key, "silu, relu, gelu, gelu_new or gelu_pytorch_tanh");
}

void read_heads(const ConfigReader& reader, ModelConfig& config, std::string_view key) {
  config.heads = reader.size(key, kMostHeads);
  config.kv_heads = config.heads;
  CHECK(config.hidden % config.heads == 0, Exit::kModel,
        "{}: {}: want a divisor of hidden_size ({}), found {}", reader.what(), key, config.hidden,
        config.heads);
  config.head_dim = config.hidden / config.heads;
}

/// Heads with fewer KV heads and a head_dim of their own, where the config says so.
void read_grouped_heads(const ConfigReader& reader, ModelConfig& config) {
  if (reader.has("head_dim")) {
    config.heads = reader.size("num_attention_heads", kMostHeads);
    config.head_dim = reader.size("head_dim", kMostHeadDim);
  } else {
    read_heads(reader, config, "num_attention_heads");
  }
  CHECK(config.heads * config.head_dim <= kMostHeadRows, Exit::kModel,
        "{}: num_attention_heads times head_dim: want at most {}, found {}", reader.what(),
        kMostHeadRows, config.heads * config.head_dim);
  config.kv_heads = reader.size_or("num_key_value_heads", kMostHeads, config.heads);
  CHECK(config.heads % config.kv_heads == 0, Exit::kModel,
        "{}: num_key_value_heads: want a divisor of the {} heads, found {}", reader.what(),
        config.heads, config.kv_heads);
}

/// The keys that the Llama-like families share.
void read_llama_like(const ConfigReader& reader, ModelConfig& config) {
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
  read_rope(reader, config);
}

/// `sliding_window` in tokens, 0 = none. In transformers an absent key means 4096, null means none.
int64_t sliding_window_of(const ConfigReader& reader) {
  const int64_t otherwise = reader.mentions("sliding_window") ? 0 : 4096;
  return reader.size_or("sliding_window", kMostPositions, otherwise);
}

/// Sets the window of the layers that have one: those that `layer_types` calls sliding, or, where
/// that key is absent, all from `first` on.
void read_windows(const ConfigReader& reader, ModelConfig& config, int64_t window, int64_t first) {
  if (!reader.has("layer_types")) {
    for (int64_t i = first; i < config.layers; ++i) config.window[static_cast<size_t>(i)] = window;
    return;
  }
  const auto& types = reader.at("layer_types");
  if (!types.is_array() || std::ssize(types) != config.layers)
    reader.refuse("layer_types", fmt::format("an array of {} strings", config.layers));
  for (size_t i = 0; i < types.size(); ++i) {
    const bool slides = types[i] == "sliding_attention";
    if (!slides && types[i] != "full_attention")
      reader.refuse("layer_types", "full_attention or sliding_attention for each layer");
    CHECK(!slides || window > 0, Exit::kModel,
          "{}: layer_types: layer {} has sliding_attention, but no sliding_window is in use",
          reader.what(), i);
    config.window[i] = slides ? window : 0;
  }
}

void set_layer_norm(ModelConfig& config, double eps) {
  config.norm = NormArgs::Kind::kLayer;
  config.norm_bias = true;
  config.norm_eps = static_cast<float>(eps);
}

/// All matrices but embedding and head have a bias, or none has one.
void set_biases(ModelConfig& config, bool present) {
  config.qkv_bias = config.out_bias = config.ffn_bias = present;
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
  if (!reader.flag_or("do_layer_norm_before", true))
    reader.refuse("do_layer_norm_before",
                  "true (OPT-350m's norm after attention is not supported)");
  if (reader.size_or("word_embed_proj_dim", kMostHidden, config.hidden) != config.hidden)
    reader.refuse("word_embed_proj_dim", fmt::format("hidden_size ({}); a projection beside the "
                                                     "embedding is not supported",
                                                     config.hidden));
  if (!reader.flag_or("layer_norm_elementwise_affine", true))
    reader.refuse("layer_norm_elementwise_affine", "true (a norm without weight is not supported)");
  reader.refuse_if_set("_remove_final_layer_norm");
}

void read_bloom(const ConfigReader& reader, ModelConfig& config) {
  config.layers = reader.size(reader.first_of({"n_layer", "num_hidden_layers"}), kMostLayers);
  config.hidden = reader.size(reader.first_of({"hidden_size", "n_embed"}), kMostHidden);
  config.ffn = 4 * config.hidden;
  config.vocab = reader.size("vocab_size", kMostVocab);
  config.max_positions = reader.size_or("seq_length", kMostPositions, 2048);
  read_heads(reader, config, reader.first_of({"n_head", "num_attention_heads"}));
  set_layer_norm(config, reader.number_or("layer_norm_epsilon", 0, 1, 1e-5));
  config.activation = Activation::kGeluTanh;
  config.gated = false;
  config.position = PositionKind::kAlibi;
  config.embedding_norm = true;
  set_biases(config, true);
  config.tied_head = reader.flag_or("tie_word_embeddings", true);
  config.window.assign(static_cast<size_t>(config.layers), 0);
  reader.refuse_if_set("apply_residual_connection_post_layernorm");
}

}  // namespace llmpq
