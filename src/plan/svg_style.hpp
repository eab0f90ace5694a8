// What the pictures of this folder have in common: colours that stay readable on light and dark
// pages, each as a CSS class.
#pragma once

#include <string>
#include <string_view>

#include "kernels/formats.hpp"

namespace llmpq {

/// page, title, text, small, grid, track, prefill, decode, memory, full, curve, point; f16, f8, f4,
/// f3 and g0, g1, ... for formats with and without known bits.
inline constexpr std::string_view kSvgStyle =
    "text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}"
    ".page{fill:#fff;stroke:#d1d9e0}.title{font-size:17px;font-weight:600}.text{font-size:12px}"
    ".small{font-size:11px;fill:#59636e}.grid{stroke:#d1d9e0;stroke-width:1}.track{fill:#f0f3f6}"
    ".prefill{fill:#8250df}.decode{fill:#d4a72c}.memory{fill:#57606a}.full{fill:#cf222e}"
    ".curve{fill:none;stroke:#0969da;stroke-width:2}.point{fill:#0969da}"
    ".f16,.g0{fill:#0a4a8f}.f8,.g1{fill:#3d8fd9}.f4,.g2{fill:#2da58e}.f3,.g3{fill:#9fd356}"
    ".g4{fill:#e8a33d}.g5{fill:#d9603a}";

inline constexpr std::string_view kSvgDarkStyle =
    "text{fill:#e6edf3}.page{fill:#0d1117;stroke:#30363d}.small{fill:#9198a1}"
    ".grid{stroke:#30363d}.track{fill:#1b222b}.prefill{fill:#a475f9}.decode{fill:#d4a72c}"
    ".memory{fill:#8b949e}.full{fill:#f85149}.curve{stroke:#58a6ff}.point{fill:#58a6ff}"
    ".f16,.g0{fill:#1f6feb}.f8,.g1{fill:#58a6ff}";

/// The class of a format's colour: by its bits where the name is one of ours, else by its place.
inline std::string format_class(std::string_view format, int place) {
  constexpr int kColours = 6;
  const auto known = parse_format(format);
  return known ? "f" + std::to_string(info(*known).bits) : "g" + std::to_string(place % kColours);
}

}  // namespace llmpq
