#include "input/stored_weights.hpp"

#include <fmt/core.h>

namespace llmpq {

std::string describe(const StoredWeights& s) {
  return fmt::format("{}, {} bits, {}, {}", s.method == StoredMethod::kGptq ? "GPTQ" : "AWQ",
                     s.bits, s.group < 0 ? "one group a row" : fmt::format("groups of {}", s.group),
                     s.symmetric ? "symmetric" : "with zero points") +
         (s.by_activity ? ", desc_act" : "");
}

/// Integer less zero point: -8 to 7 of symmetric 4 bits fit into w4 and -128 to 127 of 8 bits into
/// w8; -15 to 15 of 4 bits with zero points need w8.
std::optional<Format> format_of(const StoredWeights& s) {
  if (s.group > 0 && s.group % kGroup != 0) return std::nullopt;
  if (s.bits == 4) return s.symmetric ? Format::kW4 : Format::kW8;
  return s.symmetric ? std::optional(Format::kW8) : std::nullopt;
}

std::string why_none(const StoredWeights& s) {
  if (s.group > 0 && s.group % kGroup != 0)
    return fmt::format("groups of {} have no place in formats with a scale for every {} inputs",
                       s.group, kGroup);
  return "8 bits less a zero point of 8 bits have no place in w8";
}

}  // namespace llmpq
