// The names of --quantizer: how the integers of weights are chosen while layers are loaded.
#pragma once

#include <cstdint>
#include <string_view>

namespace llmpq {

/// kRtn: rounding to nearest. kGptq: error feedback on calibration texts (layer/gptq.hpp).
enum class Quantizer : uint8_t { kRtn, kGptq };

constexpr std::string_view name(Quantizer quantizer) {
  return quantizer == Quantizer::kRtn ? "rtn" : "gptq";
}

}  // namespace llmpq
