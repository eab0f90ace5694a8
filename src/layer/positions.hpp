// How positions enter attention: rotary frequencies with their scaling, and ALiBi slopes. The
// tables are made once per stage, in forward.cpp's workspace.
#pragma once

#include <cstdint>
#include <vector>

#include "input/model_config.hpp"

namespace llmpq {

/// [rotary_dim / 2] angles per token: 1 / theta^(2i / rotary_dim), scaled as the config says.
/// In f32 like transformers, the power rounded from double. LongRoPE has two sets of factors:
/// which one holds depends on the job's longest sequence, not on each sequence, so that a token's
/// K never changes.
std::vector<float> rope_frequencies(const ModelConfig& config, int64_t max_model_len);

/// [heads] slopes of BLOOM: 2^(-8 (h + 1) / n) for the largest power of two n <= heads; heads
/// beyond n take every second slope of 2n heads, from the first on. Falcon's are divided by
/// sqrt(head_dim).
std::vector<float> alibi_slopes(const ModelConfig& config);

}  // namespace llmpq
