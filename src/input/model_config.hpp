// What a layer needs to know of a model, filled from config.json by one reader per family.
// Everything to the right of input/ sees this struct and never a family's name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/ops.hpp"

namespace llmpq {

enum class PositionKind : uint8_t { kRope, kLearned, kAlibi };

/// Llama 3's or linear scaling of the rotary frequencies; kNone leaves them.
struct RopeScaling {
  enum class Kind : uint8_t { kNone, kLinear, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  int64_t original_max_positions = 0;
};

struct ModelConfig {
  std::string family;  ///< "llama", "mistral", "qwen2", "opt", "bloom": for messages only
  int64_t layers = 0;
  int64_t hidden = 0;
  int64_t ffn = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t vocab = 0;
  int64_t max_positions = 0;  ///< context length of the checkpoint

  NormArgs::Kind norm = NormArgs::Kind::kRms;
  float norm_eps = 1e-5f;
  ActivationArgs::Kind activation = ActivationArgs::Kind::kSilu;
  bool gated = true;  ///< gate and up projections, else one
  PositionKind position = PositionKind::kRope;
  double rope_theta = 10000;
  int64_t rotary_dim = 0;  ///< elements of a head that are rotated
  RopeScaling rope_scaling;
  int64_t position_offset = 0;  ///< OPT: 2
  std::vector<int64_t> window;  ///< [layers] sliding window in tokens, 0 = all
  bool qkv_bias = false;
  bool out_bias = false;  ///< attention's output projection
  bool ffn_bias = false;
  bool norm_bias = false;
  bool embedding_norm = false;  ///< BLOOM: layer norm after the embedding
  bool tied_head = false;
  DType checkpoint_type = DType::kBf16;  ///< of config.json's dtype: bf16, f16 or f32

  std::vector<int32_t> eos_token_ids;  ///< generation_config.json (a list, often), then config.json

  /// Sampling defaults of generation_config.json ("temperature 0.6"): not applied, for the log.
  std::vector<std::string> ignored_generation_defaults;

  int64_t qkv_rows() const { return (heads + 2 * kv_heads) * head_dim; }
  int64_t up_rows() const { return gated ? 2 * ffn : ffn; }
};

/// Reads config.json (and generation_config.json beside it). Error(kModel) names the file, the key,
/// the value found and the one wanted; sizes are bounded before anything is allocated.
ModelConfig load_model_config(const std::filesystem::path& folder);

/// The same from texts, for tests and fuzzing; `generation_json` may be empty.
ModelConfig parse_model_config(std::string_view config_json, std::string_view generation_json,
                               std::string_view file_name);

}  // namespace llmpq
