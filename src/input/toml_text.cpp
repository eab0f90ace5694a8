// The four kinds of TOML strings.
#include <charconv>

#include "base/utf8.hpp"
#include "input/toml_cursor.hpp"

namespace llmpq {
namespace {

/// After `\u` or `\U`: that many hexadecimal digits, a Unicode scalar value.
void append_code_point(TomlCursor& cursor, int digits, std::string& text) {
  uint32_t value = 0;
  for (int i = 0; i < digits; ++i) {
    const char c = cursor.peek();
    uint32_t digit = 0;
    if (std::from_chars(&c, &c + 1, digit, 16).ec != std::errc{})
      cursor.fail("a \\{} escape wants {} hexadecimal digits", digits == 4 ? 'u' : 'U', digits);
    value = value * 16 + digit;
    cursor.skip(1);
  }
  if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
    cursor.fail("U+{:04X} is no character", value);
  append_utf8(text, value);
}

void append_escape(TomlCursor& cursor, std::string& text) {
  switch (const char c = cursor.take()) {
    case 'b':
      text += '\b';
      break;
    case 't':
      text += '\t';
      break;
    case 'n':
      text += '\n';
      break;
    case 'f':
      text += '\f';
      break;
    case 'r':
      text += '\r';
      break;
    case '"':
    case '\\':
      text += c;
      break;
    case 'u':
      append_code_point(cursor, 4, text);
      break;
    case 'U':
      append_code_point(cursor, 8, text);
      break;
    default:
      cursor.fail("an unknown escape: want one of \\b \\t \\n \\f \\r \\\" \\\\ \\u \\U");
  }
}

/// A backslash at the end of a line swallows the white space up to the next word.
bool accept_line_continuation(TomlCursor& cursor) {
  TomlCursor ahead = cursor;
  ahead.skip_blanks();
  if (!ahead.accept_newline()) return false;
  do ahead.skip_blanks();
  while (ahead.accept_newline());
  cursor = ahead;
  return true;
}

std::string parse_one_line(TomlCursor& cursor) {
  const char quote = cursor.take();
  std::string text;
  while (cursor.peek() != quote) {
    if (cursor.at_end() || is_forbidden_control(cursor.peek()))
      cursor.fail("a string without its closing {}", quote);
    const char c = cursor.take();
    if (c == '\\' && quote == '"')
      append_escape(cursor, text);
    else
      text += c;
  }
  cursor.skip(1);
  return text;
}

/// Up to five quotes may end a string: the last three close it, those before belong to it.
bool accept_closing(TomlCursor& cursor, std::string_view quotes, std::string& text) {
  if (!cursor.starts_with(quotes)) return false;
  size_t count = 3;
  while (count < 5 && cursor.peek(count) == quotes[0]) ++count;
  text.append(count - 3, quotes[0]);
  cursor.skip(count);
  return true;
}

std::string parse_many_lines(TomlCursor& cursor, std::string_view quotes) {
  cursor.skip(quotes.size());
  cursor.accept_newline();  // one right behind the quotes does not count
  std::string text;
  while (!accept_closing(cursor, quotes, text)) {
    if (cursor.at_end()) cursor.fail("a string without its closing {}", quotes);
    if (cursor.accept_newline()) {
      text += '\n';
      continue;
    }
    if (is_forbidden_control(cursor.peek())) cursor.fail("a control character in a string");
    const char c = cursor.take();
    if (c != '\\' || quotes[0] != '"')
      text += c;
    else if (!accept_line_continuation(cursor))
      append_escape(cursor, text);
  }
  return text;
}

}  // namespace

std::string parse_toml_string(TomlCursor& cursor) {
  for (const std::string_view quotes : {"\"\"\"", "'''"})
    if (cursor.starts_with(quotes)) return parse_many_lines(cursor, quotes);
  return parse_one_line(cursor);
}

std::string parse_toml_quoted_key(TomlCursor& cursor) { return parse_one_line(cursor); }

}  // namespace llmpq
