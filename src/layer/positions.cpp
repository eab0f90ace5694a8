#include "layer/positions.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

namespace llmpq {
namespace {

/// Llama 3's rule: short waves stay, long ones are stretched by `factor`, those between blend.
float llama3_scaled(float frequency, const RopeScaling& s) {
  const auto factor = static_cast<float>(s.factor);
  const auto low = static_cast<float>(s.low_freq_factor);
  const auto high = static_cast<float>(s.high_freq_factor);
  const auto context = static_cast<float>(s.original_max_positions);
  const float wave = static_cast<float>(2 * std::numbers::pi) / frequency;  // in tokens
  if (wave < context / high) return frequency;
  if (wave > context / low) return frequency / factor;
  const float blend = (context / wave - low) / (high - low);
  return (1 - blend) * frequency / factor + blend * frequency;
}

/// YaRN (Peng et al. 2023, section 3.2): the element of a head that turns `turns` times within the
/// original context.
double yarn_element(const ModelConfig& config, double turns) {
  const auto context = static_cast<double>(config.rope_scaling.original_max_positions);
  return static_cast<double>(config.rotary_dim) *
         std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(config.rope_theta));
}

/// YaRN's rule: elements below a range stay, those above are stretched, those between blend.
float yarn_scaled(const ModelConfig& config, int64_t element, float wave) {
  const RopeScaling& s = config.rope_scaling;
  double low = yarn_element(config, s.beta_fast), high = yarn_element(config, s.beta_slow);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(config.rotary_dim - 1));
  if (low == high) high += 0.001;
  const float ramp =
      (static_cast<float>(element) - static_cast<float>(low)) / static_cast<float>(high - low);
  const float stay = 1 - std::clamp(ramp, 0.0f, 1.0f);
  return 1.0f / (static_cast<float>(s.factor) * wave) * (1 - stay) + 1.0f / wave * stay;
}

/// 2^(-8 / heads) for a power of two, by square roots of 1/256: the same bits everywhere.
double slope_ratio(uint64_t heads) {
  double ratio = 0x1p-8;
  for (uint64_t n = 1; n < heads; n *= 2) ratio = std::sqrt(ratio);
  return ratio;
}

}  // namespace

std::vector<float> rope_frequencies(const ModelConfig& config, int64_t max_model_len) {
  using Kind = RopeScaling::Kind;
  const RopeScaling& scaling = config.rope_scaling;
  const bool is_long = max_model_len > scaling.original_max_positions;
  const auto& factors = is_long ? scaling.long_factors : scaling.short_factors;
  std::vector<float> frequencies;
  for (int64_t i = 0; i < config.rotary_dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.rotary_dim);
    const auto wave = static_cast<float>(std::pow(config.rope_theta, double{exponent}));
    float frequency = 1.0f / wave;
    if (scaling.kind == Kind::kLinear) frequency /= static_cast<float>(scaling.factor);
    if (scaling.kind == Kind::kLlama3) frequency = llama3_scaled(frequency, scaling);
    if (scaling.kind == Kind::kYarn) frequency = yarn_scaled(config, i, wave);
    if (scaling.kind == Kind::kLongRope)
      frequency = 1.0f / (factors[static_cast<size_t>(i)] * wave);
    frequencies.push_back(frequency);
  }
  return frequencies;
}

std::vector<float> alibi_slopes(const ModelConfig& config) {
  const int64_t heads = config.heads;
  const uint64_t power = std::bit_floor(static_cast<uint64_t>(heads));
  const double ratio = slope_ratio(power), half_ratio = slope_ratio(2 * power);
  std::vector<float> slopes;
  double slope = 1;
  for (uint64_t h = 0; h < power; ++h) slopes.push_back(static_cast<float>(slope *= ratio));
  slope = half_ratio;
  for (uint64_t h = power; h < static_cast<uint64_t>(heads); ++h, slope *= ratio)
    slopes.push_back(static_cast<float>(slope));
  if (config.alibi_scaled)
    for (float& value : slopes) value /= std::sqrt(static_cast<float>(config.head_dim));
  return slopes;
}

}  // namespace llmpq
