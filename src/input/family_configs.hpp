// The config readers of the model families: config.json's keys into a ModelConfig. A feature that
// the layer does not have ends in an error, never in other results than the model's own.
#pragma once

#include "input/config_reader.hpp"
#include "input/model_config.hpp"

namespace llmpq {

/// Upper bounds of what a config may say: far above every model, far below what overflows.
inline constexpr int64_t kMostLayers = 10'000;
inline constexpr int64_t kMostHidden = int64_t{1} << 20;
inline constexpr int64_t kMostFfn = int64_t{1} << 22;
inline constexpr int64_t kMostHeads = int64_t{1} << 16;
inline constexpr int64_t kMostHeadDim = int64_t{1} << 14;
inline constexpr int64_t kMostHeadRows = int64_t{1} << 22;  ///< heads * head_dim
inline constexpr int64_t kMostExperts = 4096;
inline constexpr int64_t kMostVocab = int64_t{1} << 24;
inline constexpr int64_t kMostPositions = int64_t{1} << 28;

/// Each fills everything but family, checkpoint_type and what generation_config.json says, which
/// is alike for all. Error(kModel) names file, key, value found and wanted.
void read_llama(const ConfigReader& reader, ModelConfig& config);
void read_mistral(const ConfigReader& reader, ModelConfig& config);
void read_qwen2(const ConfigReader& reader, ModelConfig& config);
void read_qwen3(const ConfigReader& reader, ModelConfig& config);
void read_mixtral(const ConfigReader& reader, ModelConfig& config);
void read_qwen3_moe(const ConfigReader& reader, ModelConfig& config);
void read_phi3(const ConfigReader& reader, ModelConfig& config);
void read_gemma2(const ConfigReader& reader, ModelConfig& config);
void read_opt(const ConfigReader& reader, ModelConfig& config);
void read_bloom(const ConfigReader& reader, ModelConfig& config);
void read_gpt2(const ConfigReader& reader, ModelConfig& config);
void read_gpt_neox(const ConfigReader& reader, ModelConfig& config);
void read_falcon(const ConfigReader& reader, ModelConfig& config);

/// What a family calls the keys of its rotary positions in the older form, and what it rotates of
/// each head where none says so.
struct RopeKeys {
  std::string_view theta = "rope_theta";
  std::string_view share = "partial_rotary_factor";
  double share_otherwise = 1;
  bool partial = false;  ///< whether a part of a head may be rotated
};

/// rope_parameters (transformers 5), or rope_theta and rope_scaling (the hub's older form): no
/// scaling, linear, Llama 3's, YaRN or LongRoPE. Needs max_positions and head_dim.
void read_rope(const ConfigReader& reader, ModelConfig& config, const RopeKeys& keys = {});

}  // namespace llmpq
