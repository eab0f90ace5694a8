// A place in a TOML text, and the sentence for what is wrong there. Used by toml.cpp and
// toml_text.cpp.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "kernels/check.hpp"

namespace llmpq {

class TomlCursor {
 public:
  TomlCursor(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  bool at_end() const { return at_ == text_.size(); }
  /// The byte `ahead` of here; NUL past the end (and NUL itself is nowhere allowed).
  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : 0; }
  bool starts_with(std::string_view word) const { return text_.substr(at_).starts_with(word); }
  int line() const { return line_; }

  char take() {
    const char c = peek();
    skip(1);
    return c;
  }
  void skip(size_t bytes) {
    for (; bytes > 0 && !at_end(); --bytes) {
      if (text_[at_++] != '\n') continue;
      ++line_;
      line_begin_ = at_;
    }
  }
  bool accept(std::string_view word) {
    if (!starts_with(word)) return false;
    skip(word.size());
    return true;
  }
  bool accept_newline() { return accept("\n") || accept("\r\n"); }
  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t') skip(1);
  }
  /// The bytes that `accepted` takes, from here on.
  template <typename Accepted>
  std::string_view take_while(Accepted accepted) {
    const size_t begin = at_;
    while (!at_end() && accepted(text_[at_])) skip(1);
    return text_.substr(begin, at_ - begin);
  }

  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> sentence, Args&&... args) const {
    llmpq::fail(Exit::kUsage, "{}, line {}, column {}: {}", name_, line_, at_ - line_begin_ + 1,
                fmt::format(sentence, std::forward<Args>(args)...));
  }

 private:
  std::string_view text_;
  std::string_view name_;
  size_t at_ = 0;
  size_t line_begin_ = 0;
  int line_ = 1;
};

/// Control characters that TOML allows in no comment and no string.
inline bool is_forbidden_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

/// The string that begins at a quote, of all four kinds. Escapes are resolved.
std::string parse_toml_string(TomlCursor& cursor);
/// The same without the kinds of several lines: a quoted key.
std::string parse_toml_quoted_key(TomlCursor& cursor);

}  // namespace llmpq
