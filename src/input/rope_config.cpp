// The rotary positions part of a config: which key says it, in old files and new ones.
#include <cmath>
#include <nlohmann/json.hpp>

#include "input/family_configs.hpp"

namespace llmpq {
namespace {

constexpr double kMostTheta = 1e15;
constexpr double kMostFactor = 1e6;
constexpr double kSmall = 1e-6;

/// original_max_position_embeddings: of the config, else of the scaling, else max_positions.
int64_t original_positions(const ConfigReader& scaling, const ConfigReader& config,
                           int64_t max_positions) {
  constexpr std::string_view kKey = "original_max_position_embeddings";
  const ConfigReader& reader = config.has(kKey) ? config : scaling;
  return reader.size_or(kKey, kMostPositions, max_positions);
}

RopeScaling read_llama3(const ConfigReader& reader, int64_t original) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::kLlama3;
  reader.at("factor");
  scaling.factor = reader.number_or("factor", kSmall, kMostFactor, 1);
  scaling.low_freq_factor = reader.number_or("low_freq_factor", kSmall, kMostFactor, 1);
  scaling.high_freq_factor = reader.number_or("high_freq_factor", kSmall, kMostFactor, 4);
  CHECK(scaling.high_freq_factor > scaling.low_freq_factor, Exit::kModel,
        "{}: high_freq_factor: want more than low_freq_factor ({}), found {}", reader.what(),
        scaling.low_freq_factor, scaling.high_freq_factor);
  scaling.original_max_positions = original;
  return scaling;
}

/// YaRN: what cosines and sines are multiplied by where attention_factor does not say it.
double yarn_attention_factor(const ConfigReader& reader, double factor) {
  const auto grown = [&](double by) { return factor <= 1 ? 1 : 0.1 * by * std::log(factor) + 1; };
  const double mscale = reader.number_or("mscale", 0, kMostFactor, 0);
  const double all_dim = reader.number_or("mscale_all_dim", 0, kMostFactor, 0);
  return mscale > 0 && all_dim > 0 ? grown(mscale) / grown(all_dim) : grown(1);
}

RopeScaling read_yarn(const ConfigReader& reader, int64_t original) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::kYarn;
  reader.at("factor");
  scaling.factor = reader.number_or("factor", kSmall, kMostFactor, 1);
  scaling.beta_fast = reader.number_or("beta_fast", kSmall, kMostFactor, 32);
  scaling.beta_slow = reader.number_or("beta_slow", kSmall, kMostFactor, 1);
  scaling.truncate = reader.flag_or("truncate", true);
  scaling.original_max_positions = original;
  scaling.attention_factor = reader.number_or("attention_factor", kSmall, kMostFactor,
                                              yarn_attention_factor(reader, scaling.factor));
  return scaling;
}

std::vector<float> read_factors(const ConfigReader& reader, std::string_view key, int64_t count) {
  std::vector<float> factors;
  const auto& list = reader.at(key);
  if (list.is_array())
    for (const auto& value : list)
      if (value.is_number() && value.get<double>() >= kSmall && value.get<double>() <= kMostFactor)
        factors.push_back(value.get<float>());
  if (!list.is_array() || std::ssize(factors) != std::ssize(list) || std::ssize(factors) != count)
    reader.refuse(key, fmt::format("{} numbers from {} to {}", count, kSmall, kMostFactor));
  return factors;
}

/// How much longer the context is than the original one gives the attention factor, unless it is
/// told.
RopeScaling read_longrope(const ConfigReader& reader, const ModelConfig& config, int64_t original) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::kLongRope;
  scaling.original_max_positions = original;
  scaling.short_factors = read_factors(reader, "short_factor", config.rotary_dim / 2);
  scaling.long_factors = read_factors(reader, "long_factor", config.rotary_dim / 2);
  const double longer = static_cast<double>(config.max_positions) / static_cast<double>(original);
  scaling.factor = reader.number_or("factor", kSmall, kMostFactor, longer);
  const double by_length =
      scaling.factor <= 1 || original < 2
          ? 1
          : std::sqrt(1 + std::log(scaling.factor) / std::log(static_cast<double>(original)));
  scaling.attention_factor = reader.number_or("attention_factor", kSmall, kMostFactor, by_length);
  return scaling;
}

/// The scaling that an object with `rope_type` (older: `type`) asks for.
RopeScaling read_scaling(const ConfigReader& reader, const ModelConfig& config, int64_t original) {
  const auto key = reader.first_of({"rope_type", "type"});
  const std::string kind = reader.text(key);
  if (kind == "llama3") return read_llama3(reader, original);
  if (kind == "yarn") return read_yarn(reader, original);
  if (kind == "longrope" || kind == "su") return read_longrope(reader, config, original);
  RopeScaling scaling;
  if (kind == "linear") {
    reader.at("factor");
    scaling.kind = RopeScaling::Kind::kLinear;
    scaling.factor = reader.number_or("factor", kSmall, kMostFactor, 1);
  } else if (kind != "default") {
    reader.refuse(key, "default, linear, llama3, yarn or longrope");
  }
  return scaling;
}

/// How much of each head is rotated.
void read_share(const ConfigReader& reader, ModelConfig& config, const RopeKeys& keys,
                std::string_view key) {
  const double share = reader.number_or(key, kSmall, 1, 1);
  if (share != 1 && !keys.partial)
    reader.refuse(key, "1 (rotating a part of a head is not supported here)");
  config.rotary_dim = static_cast<int64_t>(static_cast<double>(config.head_dim) * share);
}

void check_rotary(const ConfigReader& reader, const ModelConfig& config) {
  CHECK(config.rotary_dim > 0 && config.rotary_dim % 2 == 0, Exit::kModel,
        "{}: head_dim: want an even number of rotated elements, found {} of {}", reader.what(),
        config.rotary_dim, config.head_dim);
}

}  // namespace

void read_rope(const ConfigReader& reader, ModelConfig& config, const RopeKeys& keys) {
  config.position = PositionKind::kRope;
  config.rotary_dim =
      static_cast<int64_t>(static_cast<double>(config.head_dim) * keys.share_otherwise);
  const auto share = reader.first_of({keys.share, "partial_rotary_factor"});
  if (reader.has(share)) read_share(reader, config, keys, share);
  const auto theta = reader.first_of({keys.theta, "rope_theta"});
  config.rope_theta = reader.number_or(theta, kSmall, kMostTheta, 10000);
  const auto key = reader.first_of({"rope_parameters", "rope_scaling"});
  if (!reader.has(key)) return check_rotary(reader, config);
  const ConfigReader rope = reader.object(key);
  if (rope.has("partial_rotary_factor")) read_share(rope, config, keys, "partial_rotary_factor");
  check_rotary(reader, config);
  config.rope_theta = rope.number_or("rope_theta", kSmall, kMostTheta, config.rope_theta);
  const int64_t original = original_positions(rope, reader, config.max_positions);
  config.rope_scaling = read_scaling(rope, config, original);
}

}  // namespace llmpq
