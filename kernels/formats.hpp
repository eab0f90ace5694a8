// The one table of weight formats. Read by planner, loader, profiler, dispatcher, tests and bench:
// adding a format is one row here and its kernels.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "kernels/host_device.hpp"

namespace llmpq {

/// Weight encodings. w8, w4, w3: symmetric integers, one float scale per output row and group of
/// 128 inputs (the last group of a row may be shorter).
enum class Format : uint8_t { kBf16, kF16, kW8, kW4, kW3 };

struct FormatInfo {
  Format format;
  std::string_view name;
  int bits;     ///< of one weight, scales left out
  int group;    ///< inputs that share a scale; 0 = no scales
  int max_abs;  ///< largest integer value: 127, 7, 3; 0 = not an integer format
  /// Of a CUDA device, major * 10 + minor: older ones convert it to f16 at every use, and take f16
  /// where nobody asks for this format.
  int min_compute_capability;
};

inline constexpr int kGroup = 128;
/// Groups of a row of k inputs. Inlined always: files for several instruction sets have it.
[[gnu::always_inline]] LLMPQ_HOST_DEVICE constexpr int64_t groups_of(int64_t k) {
  return (k + kGroup - 1) / kGroup;
}
inline constexpr std::array<FormatInfo, 5> kFormats{{
    {Format::kBf16, "bf16", 16, 0, 0, 80},
    {Format::kF16, "f16", 16, 0, 0, 60},
    {Format::kW8, "w8", 8, kGroup, 127, 60},
    {Format::kW4, "w4", 4, kGroup, 7, 60},
    {Format::kW3, "w3", 3, kGroup, 3, 60},
}};

constexpr const FormatInfo& info(Format format) { return kFormats[static_cast<size_t>(format)]; }
constexpr std::string_view name(Format format) { return info(format).name; }
constexpr bool is_16bit(Format format) { return info(format).bits == 16; }
/// Whether a device multiplies by weights as they are, not converted at every use. 0 is a CPU.
constexpr bool multiplies(int compute_capability, Format format) {
  return compute_capability == 0 || compute_capability >= info(format).min_compute_capability;
}

/// The format of that name, or nothing.
constexpr std::optional<Format> parse_format(std::string_view text) {
  for (const auto& row : kFormats)
    if (row.name == text) return row.format;
  return std::nullopt;
}

}  // namespace llmpq
