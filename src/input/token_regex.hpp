// Regular expressions of tokenizer.json: Oniguruma's Ruby syntax there, run by PCRE2 here. Used by
// the pre-tokenizers and by Replace.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace llmpq {

/// One match: bytes [begin, end) of the text.
struct Match {
  size_t begin;
  size_t end;
};

/// A compiled pattern: immutable, cheap to copy, used by several threads at once.
class Regex {
 public:
  /// A pattern in Oniguruma's syntax; `where` names it in messages (file and key). Throws
  /// Error(kModel) if it is broken, or uses a part of the syntax that is not supported here.
  static Regex onig(std::string_view pattern, const std::string& where);
  /// A pattern of our own, already in PCRE2's syntax.
  static Regex pcre2(const std::string& pattern);
  /// A text that matches itself.
  static Regex literal(const std::string& text, const std::string& where);

  /// All matches of valid UTF-8 text from left to right, without overlap. An empty match directly
  /// behind another match is dropped. Throws Error(kModel) if the pattern takes too many steps.
  std::vector<Match> find_all(std::string_view text) const;

  struct Code;  ///< what PCRE2 made of the pattern

 private:
  explicit Regex(std::shared_ptr<const Code> code) : code_(std::move(code)) {}
  std::shared_ptr<const Code> code_;
};

/// Translates a pattern from Oniguruma's syntax into PCRE2's: properties get the characters of
/// newer Unicode versions, \s \d \w \b \h and .{n}? mean what they mean there. Throws Error(kModel)
/// for the parts of the syntax that have no faithful translation.
std::string pcre2_from_onig(std::string_view pattern, const std::string& where);

}  // namespace llmpq
