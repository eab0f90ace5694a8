#include "input/config_parts.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace llmpq {

ActivationArgs::Kind read_activation(const ConfigReader& reader, std::string_view key,
                                     std::string_view otherwise) {
  using Activation = ActivationArgs::Kind;
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

void set_layer_norm(ModelConfig& config, double eps) {
  config.norm = NormArgs::Kind::kLayer;
  config.norm_bias = true;
  config.norm_eps = static_cast<float>(eps);
}

void set_biases(ModelConfig& config, bool present) {
  config.qkv_bias = config.out_bias = config.ffn_bias = present;
}

int64_t sliding_window_of(const ConfigReader& reader) {
  const int64_t otherwise = reader.mentions("sliding_window") ? 0 : 4096;
  return reader.size_or("sliding_window", kMostPositions, otherwise);
}

void read_windows(const ConfigReader& reader, ModelConfig& config, int64_t window, int64_t first,
                  int64_t step) {
  if (!reader.has("layer_types")) {
    for (int64_t i = first; i < config.layers; i += step)
      config.window[static_cast<size_t>(i)] = window;
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

}  // namespace llmpq
