#include "layer/positions.hpp"

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

/// 2^(-8 / heads) for a power of two, by square roots of 1/256: the same bits everywhere.
double slope_ratio(uint64_t heads) {
  double ratio = 0x1p-8;
  for (uint64_t n = 1; n < heads; n *= 2) ratio = std::sqrt(ratio);
  return ratio;
}

}  // namespace

std::vector<float> rope_frequencies(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  std::vector<float> frequencies;
  for (int64_t i = 0; i < config.rotary_dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.rotary_dim);
    float frequency = 1.0f / static_cast<float>(std::pow(config.rope_theta, double{exponent}));
    if (scaling.kind == RopeScaling::Kind::kLinear) frequency /= static_cast<float>(scaling.factor);
    if (scaling.kind == RopeScaling::Kind::kLlama3) frequency = llama3_scaled(frequency, scaling);
    frequencies.push_back(frequency);
  }
  return frequencies;
}

std::vector<float> alibi_slopes(int64_t heads) {
  const uint64_t power = std::bit_floor(static_cast<uint64_t>(heads));
  const double ratio = slope_ratio(power), half_ratio = slope_ratio(2 * power);
  std::vector<float> slopes;
  double slope = 1;
  for (uint64_t h = 0; h < power; ++h) slopes.push_back(static_cast<float>(slope *= ratio));
  slope = half_ratio;
  for (uint64_t h = power; h < static_cast<uint64_t>(heads); ++h, slope *= ratio)
    slopes.push_back(static_cast<float>(slope));
  return slopes;
}

}  // namespace llmpq
