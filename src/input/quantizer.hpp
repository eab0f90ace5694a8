// The names of --quantizer: how the integers of weights are chosen while layers are loaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace llmpq {

/// kRtn: rounding to nearest. kGptq: error feedback on calibration texts (layer/gptq.hpp).
enum class Quantizer : uint8_t { kRtn, kGptq };

constexpr std::string_view name(Quantizer quantizer) {
  return quantizer == Quantizer::kRtn ? "rtn" : "gptq";
}

constexpr std::optional<Quantizer> parse_quantizer(std::string_view text) {
  for (const Quantizer quantizer : {Quantizer::kRtn, Quantizer::kGptq})
    if (text == name(quantizer)) return quantizer;
  return std::nullopt;
}

}  // namespace llmpq
