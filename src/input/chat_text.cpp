#include "input/chat_text.hpp"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <utility>

#include "base/utf8.hpp"

namespace llmpq::chat {
namespace {

template <typename Change>
std::string each_character(const std::string& text, Change change) {
  std::string out;
  bool word_begins = true;
  for (const auto c : characters(text)) {
    const auto point = static_cast<int32_t>(utf8_step(c).code_point);
    append_utf8(out, static_cast<char32_t>(change(point, word_begins)));
    const auto category = utf8proc_category(point);
    word_begins = category < UTF8PROC_CATEGORY_LU || category > UTF8PROC_CATEGORY_LO;
  }
  return out;
}
/// Python's str.split() without a separator.
List words(const std::string& text) {
  List parts;
  std::string word;
  for (const auto c : characters(text)) {
    if (!strip(std::string(c), None{}, true, true, 0).empty()) {
      word += c;
    } else if (!word.empty()) {
      parts.push_back(std::exchange(word, ""));
    }
  }
  if (!word.empty()) parts.push_back(word);
  return parts;
}

}  // namespace

const std::string& want_text(const Value& value, int line) {
  if (!value.text()) stop(line, fmt::format("want text, found {}", kind(value)));
  return *value.text();
}

int64_t want_whole(const Value& value, int line) {
  if (const auto* flag = value.as<bool>()) return *flag ? 1 : 0;
  if (!value.as<int64_t>()) stop(line, fmt::format("want a whole number, found {}", kind(value)));
  return *value.as<int64_t>();
}

std::string upper(const std::string& text) {
  return each_character(text, [](int32_t c, bool) { return utf8proc_toupper(c); });
}
std::string lower(const std::string& text) {
  return each_character(text, [](int32_t c, bool) { return utf8proc_tolower(c); });
}
std::string title(const std::string& text) {
  return each_character(text, [](int32_t c, bool begins) {
    return begins ? utf8proc_totitle(c) : utf8proc_tolower(c);
  });
}
std::string capitalize(const std::string& text) {
  const auto all = characters(text);
  if (all.empty()) return text;
  return upper(std::string(all[0])) + lower(text.substr(all[0].size()));
}

std::string strip(const std::string& text, const Value& what, bool left, bool right, int line) {
  const auto all = characters(text);
  const auto taken =
      what.is_none() ? std::vector<std::string_view>() : characters(want_text(what, line));
  const auto goes = [&](std::string_view c) {
    if (!what.is_none()) return std::ranges::find(taken, c) != taken.end();
    const auto point = static_cast<int32_t>(utf8_step(c).code_point);
    const bool control = (point >= 9 && point <= 13) || (point >= 28 && point <= 31);
    const auto category = utf8proc_category(point);
    return control || point == 0x85 || category == UTF8PROC_CATEGORY_ZS ||
           category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
  };
  size_t begin = 0, end = all.size();
  while (left && begin < end && goes(all[begin])) ++begin;
  while (right && begin < end && goes(all[end - 1])) --end;
  std::string out;
  for (size_t i = begin; i < end; ++i) out += all[i];
  return out;
}

std::string replace(const std::string& text, const std::string& from, const std::string& to,
                    int64_t most, int line) {
  std::string out;
  size_t at = 0;
  for (int64_t count = 0; most < 0 || count < most; ++count) {
    const size_t found = from.empty() ? std::string::npos : text.find(from, at);
    if (found == std::string::npos) break;
    append(out, std::string_view(text).substr(at, found - at), line);
    append(out, to, line);
    at = found + from.size();
  }
  append(out, std::string_view(text).substr(at), line);
  return out;
}

List split_at(const std::string& text, const std::string& separator, int64_t most, bool from_end) {
  List parts;
  std::string rest = text;
  while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
    const size_t at = from_end ? rest.rfind(separator) : rest.find(separator);
    if (at == std::string::npos) break;
    parts.push_back(from_end ? rest.substr(at + separator.size()) : rest.substr(0, at));
    rest = from_end ? rest.substr(0, at) : rest.substr(at + separator.size());
  }
  parts.push_back(rest);
  if (from_end) std::ranges::reverse(parts);
  return parts;
}

Value split(const std::string& text, const Arguments& a, bool from_end, int line) {
  const Value separator = a.get(0, "sep");
  const int64_t most = want_whole(a.get(1, "maxsplit", int64_t{-1}), line);
  if (separator.is_none()) {
    if (most >= 0) stop(line, "split without a separator, but with maxsplit, is not supported");
    return words(text);
  }
  if (want_text(separator, line).empty()) stop(line, "split wants a separator that is not empty");
  return split_at(text, *separator.text(), most, from_end);
}

std::string join(const List& list, const std::string& separator, int line) {
  std::string out;
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0) append(out, separator, line);
    append(out, text_of(list[i]), line);
  }
  return out;
}

std::string indented(const std::string& text, const Arguments& a, int line) {
  const Value width = a.get(0, "width", int64_t{4});
  const std::string indent =
      width.text()
          ? *width.text()
          : std::string(static_cast<size_t>(std::clamp<int64_t>(want_whole(width, line), 0, 1000)),
                        ' ');
  const bool first = truth(a.get(1, "first", false)), blank = truth(a.get(2, "blank", false));
  std::string out;
  bool is_first = true;
  for (const Value& one : split_at(text, "\n", -1, false)) {
    if (!is_first) out += "\n";
    if (is_first ? first : (blank || !one.text()->empty())) append(out, indent, line);
    append(out, *one.text(), line);
    is_first = false;
  }
  return out;
}

}  // namespace llmpq::chat
