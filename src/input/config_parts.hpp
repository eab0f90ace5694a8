// What the config readers of several families share: heads, norms, activations, windows.
#pragma once

#include "input/family_configs.hpp"

namespace llmpq {

/// The activation under a key, by transformers' names.
ActivationArgs::Kind read_activation(const ConfigReader& reader, std::string_view key,
                                     std::string_view otherwise);

/// As many heads as `key` says, each with K and V of its own, that share hidden evenly.
void read_heads(const ConfigReader& reader, ModelConfig& config, std::string_view key);

/// Heads with fewer KV heads and a head_dim of their own, where the config says so.
void read_grouped_heads(const ConfigReader& reader, ModelConfig& config);

void set_layer_norm(ModelConfig& config, double eps);

/// All matrices but embedding and head have a bias, or none has one.
void set_biases(ModelConfig& config, bool present);

/// `sliding_window` in tokens, 0 = none. In transformers an absent key means 4096, null means none.
int64_t sliding_window_of(const ConfigReader& reader);

/// Sets the window of the layers that have one: those that `layer_types` calls sliding, or, where
/// that key is absent, every `step`-th from `first` on.
void read_windows(const ConfigReader& reader, ModelConfig& config, int64_t window, int64_t first,
                  int64_t step = 1);

}  // namespace llmpq
