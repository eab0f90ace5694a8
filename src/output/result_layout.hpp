// Names that the writer and the reader of results share.
#pragma once

#include <array>

namespace llmpq {

constexpr const char* kResultFormat = "llmpq-output-1";

/// Strings that one and the same row type covers, with the length of fixed ones (0: any length).
struct ResultText {
  const char* name;
  int64_t fixed_bytes;
};
constexpr ResultText kFinishReason{"finish_reason", 7};
constexpr ResultText kStatus{"status", 7};
constexpr ResultText kStopReason{"stop_reason", 0};
constexpr ResultText kError{"error", 0};
constexpr ResultText kId{"id", 0};

}  // namespace llmpq
