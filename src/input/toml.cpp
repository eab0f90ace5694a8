#include "input/toml.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <optional>
#include <set>

#include "base/utf8.hpp"
#include "input/toml_cursor.hpp"

namespace llmpq {
namespace {

constexpr int kDeepest = 16;  // arrays in arrays: no option takes more than one

bool is_bare_key(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
}

void skip_comment(TomlCursor& cursor) {
  if (!cursor.accept("#")) return;
  while (!cursor.at_end() && !cursor.starts_with("\n") && !cursor.starts_with("\r\n")) {
    if (is_forbidden_control(cursor.peek())) cursor.fail("a control character in a comment");
    cursor.skip(1);
  }
}

void skip_blanks_comments_newlines(TomlCursor& cursor) {
  do {
    cursor.skip_blanks();
    skip_comment(cursor);
  } while (cursor.accept_newline());
}

/// The word without underscores; nothing if one of them is not between two digits.
std::optional<std::string> without_underscores(std::string_view word, bool hexadecimal) {
  const auto is_digit = [&](size_t i) {
    const auto c = i < word.size() ? static_cast<unsigned char>(word[i]) : 0;
    return hexadecimal ? std::isxdigit(c) : std::isdigit(c);
  };
  std::string plain;
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '_')
      plain += word[i];
    else if (i == 0 || !is_digit(i - 1) || !is_digit(i + 1))
      return std::nullopt;
  }
  return plain;
}

template <typename T, typename... Base>
std::optional<T> parse_all(std::string_view text, Base... base) {
  T value{};
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value, base...);
  if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
  return value;
}

/// 0x, 0o and 0b, without a sign.
std::optional<int64_t> parse_prefixed(std::string_view word) {
  const int base = word[1] == 'x' ? 16 : word[1] == 'o' ? 8 : 2;
  const auto digits = without_underscores(word.substr(2), base == 16);
  if (!digits || digits->starts_with('-')) return std::nullopt;
  return parse_all<int64_t>(*digits, base);
}

bool all_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

/// Digits, then a fraction or an exponent or both, each with digits of its own.
bool is_float(std::string_view digits) {
  const size_t exponent = std::min(digits.find_first_of("eE"), digits.size());
  const std::string_view mantissa = digits.substr(0, exponent);
  const size_t dot = std::min(mantissa.find('.'), mantissa.size());
  const bool has_fraction = dot < mantissa.size(), has_exponent = exponent < digits.size();
  std::string_view power = has_exponent ? digits.substr(exponent + 1) : "0";
  if (power.starts_with('+') || power.starts_with('-')) power.remove_prefix(1);
  return (has_fraction || has_exponent) && all_digits(mantissa.substr(0, dot)) &&
         (!has_fraction || all_digits(mantissa.substr(dot + 1))) && all_digits(power);
}

std::optional<TomlValue> parse_number(std::string_view word) {
  if (word.size() > 2 && word[0] == '0' && (word[1] == 'x' || word[1] == 'o' || word[1] == 'b')) {
    const auto value = parse_prefixed(word);
    return value ? std::optional(TomlValue{*value}) : std::nullopt;
  }
  const auto plain = without_underscores(word, false);
  if (!plain) return std::nullopt;
  const bool negative = plain->starts_with('-');
  const std::string_view digits =
      std::string_view(*plain).substr(negative || plain->starts_with('+') ? 1 : 0);
  const double sign = negative ? -1 : 1;
  if (digits == "inf") return TomlValue{sign * std::numeric_limits<double>::infinity()};
  if (digits == "nan") return TomlValue{std::numeric_limits<double>::quiet_NaN()};
  if (digits.size() > 1 && digits[0] == '0' && std::isdigit(static_cast<unsigned char>(digits[1])))
    return std::nullopt;  // no leading zeros
  const std::string signed_digits = (negative ? "-" : "") + std::string(digits);
  if (all_digits(digits)) {
    const auto value = parse_all<int64_t>(signed_digits);
    return value ? std::optional(TomlValue{*value}) : std::nullopt;
  }
  if (!is_float(digits)) return std::nullopt;
  const auto value = parse_all<double>(signed_digits);
  return value ? std::optional(TomlValue{*value}) : std::nullopt;
}

/// A value that is neither string nor array: a boolean or a number.
TomlValue parse_word(TomlCursor& cursor) {
  TomlCursor begin = cursor;
  const std::string_view word =
      cursor.take_while([](char c) { return is_bare_key(c) || c == '+' || c == '.' || c == ':'; });
  if (word == "true" || word == "false") return {word == "true"};
  if (const auto number = parse_number(word)) return *number;
  if (cursor.peek() == '{' && word.empty()) begin.fail("a table, which no option takes");
  begin.fail("\"{}\" is no value: want a number, true, false, a string in quotes, or an array",
             word.substr(0, 40));
}

TomlValue parse_value(TomlCursor& cursor, int depth);

TomlValue parse_array(TomlCursor& cursor, int depth) {
  if (depth == kDeepest) cursor.fail("arrays are nested more than {} deep", kDeepest);
  cursor.skip(1);
  std::vector<TomlValue> items;
  skip_blanks_comments_newlines(cursor);
  while (!cursor.accept("]")) {
    items.push_back(parse_value(cursor, depth + 1));
    skip_blanks_comments_newlines(cursor);
    const bool more = cursor.accept(",");
    skip_blanks_comments_newlines(cursor);
    if (!more && cursor.peek() != ']') cursor.fail("want \",\" or \"]\" in an array");
  }
  return {std::move(items)};
}

TomlValue parse_value(TomlCursor& cursor, int depth) {
  const char c = cursor.peek();
  if (c == '"' || c == '\'') return {parse_toml_string(cursor)};
  if (c == '[') return parse_array(cursor, depth);
  return parse_word(cursor);
}

std::string parse_key(TomlCursor& cursor) {
  const char c = cursor.peek();
  if (c == '[') cursor.fail("a table, which no option takes: keys stand alone in a job file");
  if (c == '"' || c == '\'') return parse_toml_quoted_key(cursor);
  std::string key(cursor.take_while(is_bare_key));
  if (key.empty()) cursor.fail("want a key");
  return key;
}

TomlEntry parse_entry(TomlCursor& cursor) {
  TomlEntry entry;
  entry.line = cursor.line();
  entry.key = parse_key(cursor);
  cursor.skip_blanks();
  if (!cursor.accept("=")) cursor.fail("want \"=\" behind the key \"{}\"", entry.key);
  cursor.skip_blanks();
  entry.value = parse_value(cursor, 0);
  cursor.skip_blanks();
  skip_comment(cursor);
  if (!cursor.at_end() && !cursor.accept_newline())
    cursor.fail("want the end of the line behind the value of \"{}\"", entry.key);
  return entry;
}

}  // namespace

std::string_view type_name(const TomlValue& value) {
  constexpr std::string_view kNames[] = {"a boolean", "an integer", "a number", "a string",
                                         "an array"};
  return kNames[value.data.index()];
}

std::vector<TomlEntry> parse_toml(std::string_view text, const std::string& name) {
  TomlCursor cursor(text, name);
  if (const auto broken = first_invalid_byte(text)) {
    cursor.skip(*broken);
    cursor.fail("a byte that is not UTF-8");
  }
  cursor.accept("\xEF\xBB\xBF");  // a byte order mark
  std::vector<TomlEntry> entries;
  std::set<std::string> keys;
  while (skip_blanks_comments_newlines(cursor), !cursor.at_end()) {
    const TomlCursor begin = cursor;
    entries.push_back(parse_entry(cursor));
    const std::string& key = entries.back().key;
    if (!keys.insert(key).second) begin.fail("the key \"{}\" is there twice", key);
  }
  return entries;
}

}  // namespace llmpq
