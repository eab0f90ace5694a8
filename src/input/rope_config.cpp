// The rotary positions part of a config: which key says it, in old files and new ones.
#include <cmath>

#include "input/family_configs.hpp"

namespace llmpq {
namespace {

constexpr double kMostTheta = 1e15;
constexpr double kMostFactor = 1e6;
constexpr double kSmall = 1e-6;

/// A model may rotate a part of each head in other implementations; ours here rotate all of it.
void refuse_partial(const ConfigReader& reader) {
  if (reader.number_or("partial_rotary_factor", 0, 1, 1) != 1)
    reader.refuse("partial_rotary_factor", "1 (rotating a part of a head is not supported here)");
}

RopeScaling read_llama3(const ConfigReader& reader, int64_t max_positions) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::kLlama3;
  reader.at("factor");
  scaling.factor = reader.number_or("factor", kSmall, kMostFactor, 1);
  scaling.low_freq_factor = reader.number_or("low_freq_factor", kSmall, kMostFactor, 1);
  scaling.high_freq_factor = reader.number_or("high_freq_factor", kSmall, kMostFactor, 4);
  CHECK(scaling.high_freq_factor > scaling.low_freq_factor, Exit::kModel,
        "{}: high_freq_factor: want more than low_freq_factor ({}), found {}", reader.what(),
        scaling.low_freq_factor, scaling.high_freq_factor);
  scaling.original_max_positions =
      reader.size_or("original_max_position_embeddings", kMostPositions, max_positions);
  return scaling;
}

/// The scaling that an object with `rope_type` (older: `type`) asks for.
RopeScaling read_scaling(const ConfigReader& reader, int64_t max_positions) {
  const auto key = reader.first_of({"rope_type", "type"});
  const std::string kind = reader.text(key);
  RopeScaling scaling;
  if (kind == "linear") {
    reader.at("factor");
    scaling.kind = RopeScaling::Kind::kLinear;
    scaling.factor = reader.number_or("factor", kSmall, kMostFactor, 1);
  } else if (kind == "llama3") {
    scaling = read_llama3(reader, max_positions);
  } else if (kind != "default") {
    reader.refuse(key, "default, linear or llama3");
  }
  return scaling;
}

}  // namespace

void read_rope(const ConfigReader& reader, ModelConfig& config) {
  config.position = PositionKind::kRope;
  config.rotary_dim = config.head_dim;
  CHECK(config.head_dim % 2 == 0, Exit::kModel,
        "{}: head_dim: want an even number for rotary positions, found {}", reader.what(),
        config.head_dim);
  refuse_partial(reader);
  config.rope_theta = reader.number_or("rope_theta", kSmall, kMostTheta, 10000);
  const auto key = reader.first_of({"rope_parameters", "rope_scaling"});
  if (!reader.has(key)) return;
  const ConfigReader rope = reader.object(key);
  refuse_partial(rope);
  config.rope_theta = rope.number_or("rope_theta", kSmall, kMostTheta, config.rope_theta);
  config.rope_scaling = read_scaling(rope, config.max_positions);
}

}  // namespace llmpq
