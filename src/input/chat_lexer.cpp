#include "input/chat_lexer.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "base/utf8.hpp"
#include "kernels/check.hpp"

namespace llmpq::chat {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_begin(char c) {
  return c == '_' || (std::isalpha(static_cast<unsigned char>(c)) != 0);
}
bool is_name(char c) { return is_name_begin(c) || is_digit(c); }

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& where) : where_(where) {
    for (size_t i = 0; i < source.size(); ++i) {  // all line ends become \n
      if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
      source_ += source[i] == '\r' ? '\n' : source[i];
    }
    if (source_.ends_with('\n')) source_.pop_back();
  }

  std::vector<Token> run() {
    while (at_ < source_.size()) text_and_tag();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    fail(Exit::kModel, "{}: line {}: {}", where_, line_, what);
  }

  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  /// Moves on to `end`, counting lines.
  void move_to(size_t end) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    at_ = end;
  }

  /// The text up to the next tag, and that tag.
  void text_and_tag() {
    size_t tag = at_;
    while (tag < source_.size() && !opens_tag(tag)) ++tag;
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    std::string text = source_.substr(at_, tag - at_);
    const bool at_end = tag >= source_.size();
    if (!at_end && sign == '-') {
      while (!text.empty() && is_space(text.back())) text.pop_back();
    } else if (!at_end && sign != '+' && source_[tag + 1] != '{') {
      strip_indent(text);
    }
    if (!text.empty()) add(TokenKind::kText, std::move(text));
    move_to(std::min(tag, source_.size()));
    if (at_end) return;
    const char kind = source_[at_ + 1];
    at_ += sign == '-' || sign == '+' ? 3 : 2;
    if (kind == '#') return comment();
    add(kind == '%' ? TokenKind::kBlockBegin : TokenKind::kPrintBegin, "");
    while (!tag_end(kind)) token();
  }

  bool opens_tag(size_t at) const {
    return source_[at] == '{' && at + 1 < source_.size() &&
           (source_[at + 1] == '%' || source_[at + 1] == '{' || source_[at + 1] == '#');
  }

  /// lstrip_blocks: a block that is alone on its line so far takes its indent along.
  void strip_indent(std::string& text) const {
    const size_t line = text.rfind('\n') + 1;  // npos + 1 is 0
    if (line == 0 && !line_starts_) return;
    if (std::all_of(text.begin() + static_cast<std::ptrdiff_t>(line), text.end(), is_space))
      text.resize(line);
  }

  void comment() {
    const size_t end = source_.find("#}", at_);
    if (end == std::string::npos) refuse("a comment {# does not end");
    const char sign = end > at_ ? source_[end - 1] : ' ';
    move_to(end);
    close(sign, true);
  }

  /// Whether the tag ends here; then it is behind it.
  bool tag_end(char kind) {
    skip_spaces();
    if (at_ >= source_.size()) refuse("a tag does not end");
    const char sign = source_[at_];
    const bool signed_end =
        (sign == '-' || (sign == '+' && kind == '%')) && ends_tag(at_ + 1, kind);
    if (!signed_end && !(brackets_ == 0 && ends_tag(at_, kind))) return false;
    if (signed_end) ++at_;
    add(kind == '%' ? TokenKind::kBlockEnd : TokenKind::kPrintEnd, "");
    close(signed_end ? sign : ' ', kind == '%');
    return true;
  }

  bool ends_tag(size_t at, char kind) const {
    const char close = kind == '{' ? '}' : kind;
    return at + 1 < source_.size() && source_[at] == close && source_[at + 1] == '}';
  }

  /// Behind the end of a tag: a minus takes all space, trim_blocks the line's end.
  void close(char sign, bool trims) {
    at_ += 2;
    const size_t begin = at_;
    if (sign == '-')
      skip_spaces();
    else if (trims && sign != '+' && at_ < source_.size() && source_[at_] == '\n')
      move_to(at_ + 1);
    line_starts_ = at_ > begin && source_[at_ - 1] == '\n';
  }

  void skip_spaces() {
    size_t end = at_;
    while (end < source_.size() && is_space(source_[end])) ++end;
    move_to(end);
  }

  void token() {
    const char c = source_[at_];
    if (is_name_begin(c)) return name();
    if (is_digit(c)) return number();
    if (c == '\'' || c == '"') return string(c);
    constexpr std::array<std::string_view, 6> kDouble = {"==", "!=", "<=", ">=", "//", "**"};
    for (const auto sign : kDouble)
      if (std::string_view(source_).substr(at_, 2) == sign) return sign_of(2);
    if (std::string_view("+-*/%~|.,:()[]{}<>=").find(c) == std::string_view::npos)
      refuse(fmt::format("`{}` is no part of an expression", c));
    sign_of(1);
  }

  void sign_of(size_t length) {
    const char c = source_[at_];
    if (c == '(' || c == '[' || c == '{') ++brackets_;
    if ((c == ')' || c == ']' || c == '}') && --brackets_ < 0)
      refuse(fmt::format("a `{}` without its beginning", c));
    add(TokenKind::kSign, source_.substr(at_, length));
    at_ += length;
  }

  void name() {
    size_t end = at_;
    while (end < source_.size() && is_name(source_[end])) ++end;
    add(TokenKind::kName, source_.substr(at_, end - at_));
    at_ = end;
  }

  size_t digits_end(size_t at) const {
    while (at < source_.size() && (is_digit(source_[at]) || source_[at] == '_')) ++at;
    return at;
  }

  void number() {
    size_t end = digits_end(at_);
    const size_t whole = end;
    if (end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1]))
      end = digits_end(end + 1);
    if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      const size_t sign = end + 1 < source_.size() && std::strchr("+-", source_[end + 1]) ? 1 : 0;
      const size_t digits = end + 1 + sign;
      if (digits < source_.size() && is_digit(source_[digits])) end = digits_end(digits);
    }
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    if (text.size() > 18) refuse(fmt::format("the number {} is too long", text));
    add(end > whole ? TokenKind::kFloat : TokenKind::kInteger, text);
    at_ = end;
  }

  void string(char quote) {
    std::string text;
    size_t at = at_ + 1;
    for (; at < source_.size() && source_[at] != quote; ++at) {
      if (source_[at] == '\\' && at + 1 < source_.size())
        at = escape(at + 1, text);
      else
        text += source_[at];
    }
    if (at >= source_.size()) refuse("a string does not end");
    add(TokenKind::kString, std::move(text));
    move_to(at + 1);
  }

  /// Resolves what follows a backslash; returns its last character's place.
  size_t escape(size_t at, std::string& text) const {
    const char c = source_[at];
    constexpr std::string_view kNames = "ntrbfav0\\'\"", kValues("\n\t\r\b\f\a\v\0\\'\"", 11);
    if (c == 'x' || c == 'u' || c == 'U') {
      const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      const std::string hex = source_.substr(at + 1, digits);
      if (hex.size() != digits || hex.find_first_not_of("0123456789abcdefABCDEF") != hex.npos)
        refuse(fmt::format("\\{} wants {} hexadecimal digits", c, digits));
      append_utf8(text, static_cast<char32_t>(std::stoul(hex, nullptr, 16)));
      return at + digits;
    }
    const size_t known = kNames.find(c);
    if (known != std::string_view::npos) {
      text += kValues[known];
    } else if (c != '\n') {
      text += '\\';
      text += c;
    }
    return at;
  }

  const std::string& where_;
  std::string source_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int line_ = 1;
  int brackets_ = 0;         ///< open ones in this tag
  bool line_starts_ = true;  ///< what stands here begins a line
};

}  // namespace

std::vector<Token> lex(std::string_view source, const std::string& where) {
  return Lexer(source, where).run();
}

}  // namespace llmpq::chat
