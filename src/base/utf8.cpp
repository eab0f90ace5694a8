#include "base/utf8.hpp"

#include <algorithm>

namespace llmpq {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// What may follow a first byte: how many bytes, and the range of the second one, which is where
/// overlong forms, surrogates and code points past U+10FFFF are ruled out (Unicode, table 3-7).
struct Lead {
  int bytes;
  uint8_t low;
  uint8_t high;
};

Lead lead_of(uint8_t first) {
  if (first >= 0xC2 && first <= 0xDF) return {2, 0x80, 0xBF};
  if (first == 0xE0) return {3, 0xA0, 0xBF};
  if (first == 0xED) return {3, 0x80, 0x9F};
  if (first >= 0xE1 && first <= 0xEF) return {3, 0x80, 0xBF};
  if (first == 0xF0) return {4, 0x90, 0xBF};
  if (first >= 0xF1 && first <= 0xF3) return {4, 0x80, 0xBF};
  if (first == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

/// East Asian wide characters and emoji, roughly: enough for tables on a terminal.
bool is_wide(char32_t c) {
  return (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) ||
         (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
         (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1F64F) ||
         (c >= 0x1F900 && c <= 0x1F9FF) || (c >= 0x20000 && c <= 0x3FFFD);
}

/// Combining marks, joiners and control characters.
bool is_zero_width(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x300 && c <= 0x36F) ||
         (c >= 0x200B && c <= 0x200F) || (c >= 0x20D0 && c <= 0x20FF) ||
         (c >= 0xFE00 && c <= 0xFE0F);
}

}  // namespace

Utf8Step utf8_step(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return {first, 1, true};
  Lead lead = lead_of(first);
  char32_t code_point = first & (0xFF >> (lead.bytes + 1));
  const int there = std::min<int>(lead.bytes, static_cast<int>(std::min<size_t>(text.size(), 4)));
  for (int i = 1; i < there; ++i) {
    const auto next = static_cast<uint8_t>(text[static_cast<size_t>(i)]);
    if (next < lead.low || next > lead.high) return {0xFFFD, i, false};
    code_point = (code_point << 6) | (next & 0x3F);
    lead.low = 0x80;
    lead.high = 0xBF;
  }
  if (lead.bytes == 0 || there < lead.bytes) return {0xFFFD, std::max(there, 1), false};
  return {code_point, lead.bytes, true};
}

void append_utf8(std::string& text, char32_t c) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0 | (c >> 6));
    tail(0);
  } else if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
    text += kReplacement;
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | (c >> 12));
    tail(6), tail(0);
  } else {
    text += static_cast<char>(0xF0 | (c >> 18));
    tail(12), tail(6), tail(0);
  }
}

std::optional<size_t> first_invalid_byte(std::string_view text) {
  const size_t valid = valid_utf8_prefix(text);
  return valid == text.size() ? std::nullopt : std::optional(valid);
}

size_t valid_utf8_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = utf8_step(text.substr(at));
    if (!step.valid) break;
    at += static_cast<size_t>(step.bytes);
  }
  return at;
}

std::string sanitize_utf8(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    const bool keep = step.valid && step.code_point != 0;
    clean += keep ? text.substr(0, static_cast<size_t>(step.bytes)) : kReplacement;
    text.remove_prefix(static_cast<size_t>(step.bytes));
  }
  return clean;
}

int display_width(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (is_wide(step.code_point)) {
      width += 2;
    } else if (!is_zero_width(step.code_point)) {
      width += 1;
    }
    text.remove_prefix(static_cast<size_t>(step.bytes));
  }
  return width;
}

}  // namespace llmpq
