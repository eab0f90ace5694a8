// The translator from Oniguruma's Ruby syntax to PCRE2's. It lets through what means the same in
// both and refuses what it does not know, so that no pattern is run with another meaning.
#include <fmt/core.h>

#include <cctype>

#include "input/token_regex.hpp"
#include "input/token_unicode.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr int kDeepestClass = 8;

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where)
      : pattern_(pattern), where_(where) {}

  std::string run() {
    while (!done()) {
      switch (peek()) {
        case '\\':
          escape(false);
          break;
        case '[':
          bracket();
          break;
        case '(':
          group();
          break;
        case '{':
          repeat();
          break;
        default:
          out_ += take();
      }
    }
    return out_;
  }

 private:
  bool done() const { return at_ >= pattern_.size(); }
  char peek(size_t ahead = 0) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }
  char take() { return pattern_[at_++]; }

  [[noreturn]] void refuse(std::string_view what) const {
    fail(Exit::kModel, "{}: {} at byte {} of the regular expression `{}` is not supported", where_,
         what, at_, pattern_);
  }

  /// Appends a class given by its inside, or just the inside when a class is open already.
  void put_class(std::string_view inside, bool negated, bool in_class) {
    if (in_class && negated) refuse("a negated class within a class");
    out_ += in_class ? std::string(inside) : fmt::format("[{}{}]", negated ? "^" : "", inside);
  }

  void escape(bool in_class) {
    ++at_;
    if (done()) refuse("a backslash at the end");
    const char c = take();
    switch (c) {
      case 's':
        return put_class(whitespace_class(), false, in_class);
      case 'S':
        return not_space(in_class);
      case 'd':
        return put_class(property_class("Nd"), false, in_class);
      case 'D':
        return put_class(property_class("Nd"), true, in_class);
      case 'w':
        return put_class(onig_word_class(), false, in_class);
      case 'W':
        return put_class(onig_word_class(), true, in_class);
      case 'h':
        return put_class("0-9a-fA-F", false, in_class);
      case 'H':
        return put_class("0-9a-fA-F", true, in_class);
      case 'p':
        return property(false, in_class);
      case 'P':
        return property(true, in_class);
      case 'x':
        return hexadecimal();
      case 'u':
        return code_unit();
      case 'v':
        out_ += "\\x0B";
        return;  // PCRE2's \v is a class
      case 'b':
        if (in_class) break;
        return word_boundary();
      case 'A':
      case 'z':
      case 'Z':
        if (in_class) break;
        [[fallthrough]];
      case 'r':
      case 'n':
      case 't':
      case 'f':
      case 'a':
      case 'e':
        out_ += '\\';
        out_ += c;
        return;
      default:
        if (static_cast<unsigned char>(c) >= 0x80 || std::isalnum(static_cast<unsigned char>(c))) {
          break;
        }
        out_ += '\\';
        out_ += c;
        return;
    }
    --at_;
    refuse(fmt::format("the escape \\{}", c));
  }

  void not_space(bool in_class) {
    // To PCRE2 U+180E is a space; within a class it can be taken back.
    if (in_class) {
      out_ += "\\S\\x{180E}";
    } else {
      put_class(whitespace_class(), true, false);
    }
  }

  void word_boundary() {
    const std::string word = onig_word_class();
    out_ += fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", word);
  }

  void property(bool negated, bool in_class) {
    if (peek() != '{') refuse("a property without braces");
    const size_t close = pattern_.find('}', at_);
    if (close == std::string_view::npos) refuse("a property without its closing brace");
    std::string_view name = pattern_.substr(at_ + 1, close - at_ - 1);
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    const std::string inside = property_class(name);
    if (inside.empty()) refuse(fmt::format("the property `{}`", name));
    put_class(inside, negated, in_class);
    at_ = close + 1;
  }

  void hexadecimal() {
    const bool braces = peek() == '{';
    if (braces) ++at_;
    hex_digits(1, braces ? 6 : 2);
    if (braces && (done() || take() != '}')) refuse("a code point without its closing brace");
  }

  void code_unit() { hex_digits(4, 4); }

  void hex_digits(size_t at_least, size_t at_most) {
    const size_t begin = at_;
    while (at_ - begin < at_most && std::isxdigit(static_cast<unsigned char>(peek()))) ++at_;
    if (at_ - begin < at_least) refuse("a code point without digits");
    const std::string digits(pattern_.substr(begin, at_ - begin));
    // A lone byte over 7F is half a character to Oniguruma.
    if (digits.size() == 2 && digits[0] >= '8' && pattern_[begin - 1] == 'x') {
      refuse("a single byte of a character");
    }
    out_ += fmt::format("\\x{{{}}}", digits);
  }

  void bracket() {
    out_ += take();
    if (peek() == '^') out_ += take();
    class_inside(0);
    out_ += ']';
  }

  /// Up to the closing bracket. A class within the class adds its characters: it is written flat.
  void class_inside(int depth) {
    if (depth > kDeepestClass) refuse("a class nested so deep");
    if (peek() == ']') refuse("a class that begins with ]");
    const size_t begin = at_;
    bool after_set = false;  // a set of characters, not one, stands right before
    while (!done() && peek() != ']') {
      const bool set = is_set();
      if (peek() == '-') {
        dash(at_ == begin, after_set);
      } else if (peek() == '\\') {
        escape(true);
      } else if (peek() == '[') {
        if (peek(1) == ':') refuse("a POSIX class");
        if (peek(1) == '^') refuse("a negated class within a class");
        ++at_;
        class_inside(depth + 1);
      } else if (peek() == '&' && peek(1) == '&') {
        refuse("an intersection of classes");
      } else {
        out_ += take();
      }
      after_set = set;
    }
    if (done()) refuse("a class without its closing bracket");
    ++at_;
  }

  /// Whether a class or an escape that stands for several characters comes next.
  bool is_set() const {
    return peek() == '[' || (peek() == '\\' && std::string_view("sSdDwWhHpP").find(peek(1)) !=
                                                   std::string_view::npos);
  }

  /// A dash stands for itself at either end of a class, else it makes a range of two characters.
  void dash(bool first, bool after_set) {
    ++at_;
    const bool itself = first || peek() == ']';
    if (!itself && (after_set || is_set())) refuse("a range that ends in a class");
    out_ += itself ? "\\-" : "-";
  }

  void group() {
    if (peek(1) == '*') refuse("a verb");
    if (peek(1) != '?') {
      out_ += take();
      return;
    }
    // (?i) within a pattern binds alternatives in another way in Ruby; at its beginning it does
    // not.
    static constexpr std::string_view kOpenings[] = {
        "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?-i:"};
    for (const std::string_view opening : kOpenings) {
      if (pattern_.substr(at_).starts_with(opening)) return pass(opening.size());
    }
    if (at_ == 0 && pattern_.starts_with("(?i)")) return pass(4);
    refuse("this kind of group");
  }

  void pass(size_t bytes) {
    out_ += pattern_.substr(at_, bytes);
    at_ += bytes;
  }

  /// {n}, {n,}, {n,m} and {,m}; any other brace stands for itself.
  void repeat() {
    const size_t close = pattern_.find('}', at_);
    const std::string_view inside = close == std::string_view::npos
                                        ? std::string_view()
                                        : pattern_.substr(at_ + 1, close - at_ - 1);
    const bool interval = inside.find_first_of("0123456789") != std::string_view::npos &&
                          inside.find_first_not_of("0123456789,") == std::string_view::npos &&
                          inside.find(',') == inside.rfind(',');
    if (!interval) {
      out_ += "\\{";
      ++at_;
      return;
    }
    const char next = close + 1 < pattern_.size() ? pattern_[close + 1] : '\0';
    const bool fixed = inside.find(',') == std::string_view::npos;
    // Ruby reads {n,m}+ and {n}? as two repeats, not as possessive and lazy ones.
    if (next == '+' || (next == '?' && fixed)) refuse("a repeat of a repeat");
    out_ += fmt::format("{{{}{}}}", inside.front() == ',' ? "0" : "", inside);
    at_ = close + 1;
  }

  std::string_view pattern_;
  const std::string& where_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string pcre2_from_onig(std::string_view pattern, const std::string& where) {
  return Translator(pattern, where).run();
}

}  // namespace llmpq
