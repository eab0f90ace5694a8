// The names of --quantizer: how the integers of weights are chosen while layers are loaded.
#pragma once

#include <cstdint>

namespace llmpq {

/// kRtn: rounding to nearest. kGptq: error feedback on calibration texts (layer/gptq.hpp).
enum class Quantizer : uint8_t { kRtn, kGptq };

}  // namespace llmpq
