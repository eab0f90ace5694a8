// Weights of the right shapes where no checkpoint is: --load-format dummy, profiles, benchmarks.

#include <cmath>

#include "base/hash.hpp"
#include "input/checkpoint.hpp"
#include "input/tensor_shapes.hpp"

namespace llmpq {
namespace {

/// A 32-bit mixing function (multiply and xor-shift, twice): its loop vectorizes.
[[gnu::always_inline]] inline uint32_t mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  x ^= x >> 16;
  return x;
}

/// values[i] = center + spread * u, u uniform in [-1, 1), a function of (key, i) alone.
void fill_row(uint32_t key, float center, float spread, std::span<float> values) {
  const float scale = spread * 0x1p-31f;
  const auto count = static_cast<uint32_t>(values.size());
  for (uint32_t i = 0; i < count; ++i)
    values[i] = center + scale * static_cast<float>(static_cast<int32_t>(mix(key + i)));
}

/// Matrices keep the size of what they map: standard deviation 1 / sqrt(columns). Norms scatter
/// around 1, biases around 0. Row r of a vector is its element r.
class DummyCheckpoint final : public Checkpoint {
 public:
  explicit DummyCheckpoint(const ModelConfig& config) : config_(config) {}

  const ModelConfig& config() const override { return config_; }

  void read_rows(TensorRole role, int64_t layer, int64_t begin, int64_t rows,
                 std::span<float> values) const override {
    const RoleShape shape = check_rows(config_, role, layer, begin, rows, std::ssize(values));
    const bool tied = role == TensorRole::kHead && config_.tied_head;
    const TensorRole source = tied ? TensorRole::kEmbedding : role;
    const float center = is_norm_weight(role) ? 1.0f - config_.norm_weight_offset : 0.0f;
    const float spread =
        shape.is_vector ? 0.1f : std::sqrt(3.0f / static_cast<float>(shape.columns));
    for (int64_t row = 0; row < rows; ++row)
      fill_row(row_key(source, layer, begin + row), center, spread,
               values.subspan(static_cast<size_t>(row * shape.columns),
                              static_cast<size_t>(shape.columns)));
  }

  uint64_t content_hash() const override {
    Hasher hasher;
    hasher.add(std::string_view("dummy weights of "));
    hasher.add(std::string_view(config_.family));
    for (const TensorRole role : all_tensor_roles())
      if (const auto shape = shape_of(config_, role)) {
        hasher.add(static_cast<int64_t>(role));
        hasher.add(shape->rows);
        hasher.add(shape->columns);
      }
    for (const int64_t size :
         {config_.layers, config_.heads, config_.kv_heads, config_.head_dim, config_.max_positions,
          config_.position_offset, config_.rotary_dim, config_.rope_scaling.original_max_positions,
          config_.experts, config_.experts_per_token})
      hasher.add(size);
    for (const double number :
         {config_.rope_theta, config_.rope_scaling.factor, config_.rope_scaling.low_freq_factor,
          config_.rope_scaling.high_freq_factor, static_cast<double>(config_.norm_eps),
          static_cast<double>(config_.norm_weight_offset),
          static_cast<double>(config_.attention_scale),
          static_cast<double>(config_.attention_soft_cap),
          static_cast<double>(config_.logit_soft_cap),
          static_cast<double>(config_.embedding_scale)})
      hasher.add(number);
    for (const int kind :
         {static_cast<int>(config_.norm), static_cast<int>(config_.activation),
          static_cast<int>(config_.position), static_cast<int>(config_.rope_scaling.kind),
          static_cast<int>(config_.tied_head), static_cast<int>(config_.checkpoint_type),
          static_cast<int>(config_.norm_place), static_cast<int>(config_.parallel),
          static_cast<int>(config_.experts_normalized)})
      hasher.add(kind);
    for (const int64_t window : config_.window) hasher.add(window);
    for (const auto* factors :
         {&config_.rope_scaling.short_factors, &config_.rope_scaling.long_factors})
      for (const float factor : *factors) hasher.add(static_cast<double>(factor));
    hasher.add(config_.rope_scaling.attention_factor);
    for (const int32_t id : config_.eos_token_ids) hasher.add(id);
    return hasher.value();
  }

 private:
  static uint32_t row_key(TensorRole role, int64_t layer, int64_t row) {
    uint32_t key = mix(static_cast<uint32_t>(role) + 1);
    key = mix(key ^ static_cast<uint32_t>(layer));
    return mix(key ^ static_cast<uint32_t>(row));
  }

  ModelConfig config_;
};

}  // namespace

std::unique_ptr<Checkpoint> make_dummy_checkpoint(const ModelConfig& config) {
  return std::make_unique<DummyCheckpoint>(config);
}

}  // namespace llmpq
