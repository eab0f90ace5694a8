// How positions enter attention: rotary frequencies with their scaling, and ALiBi slopes. The
// tables are made once per stage, in forward.cpp's workspace.
#pragma once

#include <cstdint>
#include <vector>

#include "input/model_config.hpp"

namespace llmpq {

/// [rotary_dim / 2] angles per token: 1 / theta^(2i / rotary_dim), scaled as the config says.
/// In f32 like transformers, the power rounded from double.
std::vector<float> rope_frequencies(const ModelConfig& config);

/// [heads] slopes of BLOOM: 2^(-8 (h + 1) / n) for the largest power of two n <= heads; heads
/// beyond n take every second slope of 2n heads, from the first on.
std::vector<float> alibi_slopes(int64_t heads);

}  // namespace llmpq
