// What a layer needs to know of a model, filled from config.json by one reader per family.
// Everything to the right of input/ sees this struct and never a family's name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "input/stored_weights.hpp"
#include "kernels/ops.hpp"

namespace llmpq {

enum class PositionKind : uint8_t { kRope, kLearned, kAlibi };

/// Where a layer's norms stand around its two parts, attention and feed-forward.
enum class NormPlace : uint8_t {
  kBefore,  ///< x + part(norm(x))
  kAfter,   ///< norm(x + part(x)): OPT-350m
  kBoth,    ///< x + norm(part(norm(x))): Gemma 2
};

/// Scaling of the rotary frequencies; kNone leaves them. The formulas are in layer/positions.cpp.
struct RopeScaling {
  enum class Kind : uint8_t { kNone, kLinear, kLlama3, kYarn, kLongRope };
  Kind kind = Kind::kNone;
  double factor = 1;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  int64_t original_max_positions = 0;
  double beta_fast = 32, beta_slow = 1;                ///< YaRN
  bool truncate = true;                                ///< YaRN: its range in whole elements
  std::vector<float> short_factors{}, long_factors{};  ///< LongRoPE: [rotary_dim / 2]
  double attention_factor = 1;                         ///< YaRN, LongRoPE: of cosines and sines
};

struct ModelConfig {
  std::string family;  ///< the name of its row in families.cpp: for messages only
  int64_t layers = 0;
  int64_t hidden = 0;
  int64_t ffn = 0;  ///< of each expert if there are experts
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t vocab = 0;
  int64_t max_positions = 0;  ///< context length of the checkpoint

  NormArgs::Kind norm = NormArgs::Kind::kRms;
  float norm_eps = 1e-5f;
  NormPlace norm_place = NormPlace::kBefore;
  float norm_weight_offset = 0;  ///< Gemma: 1, the norms multiply by 1 + weight
  bool final_norm = true;        ///< OPT-350m has none
  /// Attention and feed-forward both read the layer's input: x + attention(x) + feed_forward(x).
  bool parallel = false;
  bool shared_norm = false;  ///< of a parallel layer: one norm in front of both
  bool qk_norm = false;      ///< RMS norm of each head of q and of k (Qwen3)
  ActivationArgs::Kind activation = ActivationArgs::Kind::kSilu;
  bool gated = true;    ///< gate and up projections, else one
  int64_t experts = 0;  ///< feed-forward parts beside each other; 0: one for all tokens
  int64_t experts_per_token = 0;
  bool experts_normalized = false;  ///< weights of a token's experts sum up to 1
  PositionKind position = PositionKind::kRope;
  double rope_theta = 10000;
  int64_t rotary_dim = 0;  ///< elements of a head that are rotated, the first ones
  RopeScaling rope_scaling;
  int64_t position_offset = 0;   ///< OPT: 2
  std::vector<int64_t> window;   ///< [layers] sliding window in tokens, 0 = all
  bool alibi_scaled = false;     ///< Falcon: slopes are scaled as q.k is
  float attention_scale = 0;     ///< of q.k; 0 = 1 / sqrt(head_dim)
  float attention_soft_cap = 0;  ///< Gemma 2: scores become cap * tanh(score / cap); 0 = off
  float logit_soft_cap = 0;      ///< the same for logits
  float embedding_scale = 1;     ///< Gemma: sqrt(hidden)
  /// Columns of the embedding table and the head, 0 = hidden. Else (OPT-350m) matrices without bias
  /// lead from there to hidden, and back.
  int64_t projected_width = 0;
  bool qkv_bias = false;
  bool out_bias = false;  ///< attention's output projection
  bool ffn_bias = false;
  bool norm_bias = false;
  bool embedding_norm = false;  ///< BLOOM: layer norm after the embedding
  bool tied_head = false;
  DType checkpoint_type = DType::kBf16;  ///< of config.json's dtype: bf16, f16 or f32

  std::optional<StoredWeights> stored;  ///< the layers' matrices are integers already

  std::vector<int32_t> eos_token_ids;  ///< generation_config.json (a list, often), then config.json

  /// Sampling defaults of generation_config.json ("temperature 0.6"): not applied, for the log.
  std::vector<std::string> ignored_generation_defaults;

  int64_t qkv_rows() const { return (heads + 2 * kv_heads) * head_dim; }
  int64_t up_rows() const { return gated ? 2 * ffn : ffn; }
  int64_t embedding_columns() const { return projected_width > 0 ? projected_width : hidden; }
};

/// Reads config.json (and generation_config.json beside it). Error(kModel) names the file, the key,
/// the value found and the one wanted; sizes are bounded before anything is allocated.
ModelConfig load_model_config(const std::filesystem::path& folder);

/// The same from texts, for tests and fuzzing; `generation_json` may be empty.
ModelConfig parse_model_config(std::string_view config_json, std::string_view generation_json,
                               std::string_view file_name);

}  // namespace llmpq
