// The methods of text, lists and mappings, as Python has them.
#include <fmt/format.h>

#include <algorithm>

#include "input/chat_text.hpp"

namespace llmpq::chat {
namespace {

constexpr std::string_view kTextMethods[] = {
    "strip", "lstrip", "rstrip",     "split",   "rsplit", "startswith", "endswith",   "upper",
    "lower", "title",  "capitalize", "replace", "join",   "find",       "splitlines", "count"};
constexpr std::string_view kMappingMethods[] = {"items", "keys", "values", "get"};
constexpr std::string_view kListMethods[] = {"index", "count"};

bool text_has(const std::string& text, const Value& affix, bool at_start, int line) {
  List all = affix.list() ? *affix.list() : List{affix};
  return std::ranges::any_of(all, [&](const Value& one) {
    const std::string& part = want_text(one, line);
    return at_start ? text.starts_with(part) : text.ends_with(part);
  });
}

int64_t occurrences(const std::string& text, const std::string& part, int line) {
  if (part.empty()) stop(line, "count of an empty text is not supported");
  return std::ssize(split_at(text, part, -1, false)) - 1;
}

Value lines_of(const std::string& text, int line) {
  List parts = split_at(replace(replace(text, "\r\n", "\n", -1, line), "\r", "\n", -1, line), "\n",
                        -1, false);
  if (parts.back().text()->empty()) parts.pop_back();
  return parts;
}

Value text_method(const std::string& text, const std::string& name, const Arguments& a, int line) {
  if (name == "strip") return strip(text, a.get(0, "chars"), true, true, line);
  if (name == "lstrip") return strip(text, a.get(0, "chars"), true, false, line);
  if (name == "rstrip") return strip(text, a.get(0, "chars"), false, true, line);
  if (name == "split") return split(text, a, false, line);
  if (name == "rsplit") return split(text, a, true, line);
  if (name == "startswith") return text_has(text, a.get(0, "prefix"), true, line);
  if (name == "endswith") return text_has(text, a.get(0, "suffix"), false, line);
  if (name == "upper") return upper(text);
  if (name == "lower") return lower(text);
  if (name == "title") return title(text);
  if (name == "capitalize") return capitalize(text);
  if (name == "join") return join(items_of(a.get(0, "iterable"), line), text, line);
  if (name == "splitlines") return lines_of(text, line);
  if (name == "count") return occurrences(text, want_text(a.get(0, "sub"), line), line);
  if (name == "replace")
    return replace(text, want_text(a.get(0, "old"), line), want_text(a.get(1, "new"), line),
                   want_whole(a.get(2, "count", int64_t{-1}), line), line);
  const size_t at = text.find(want_text(a.get(0, "sub"), line));  // find
  if (at == std::string::npos) return int64_t{-1};
  return static_cast<int64_t>(characters(text.substr(0, at)).size());
}

Value mapping_method(const Value& self, const std::string& name, const Arguments& a, int line) {
  if (name == "items") return pairs_of(self, line);
  if (name == "get") {
    const Value found = item(self, a.get(0, "key"));
    return found.is_undefined() ? a.get(1, "default") : found;
  }
  List out;
  for (const auto& [key, one] : self.mapping()->items)
    out.push_back(name == "keys" ? Value(key) : one);
  return out;
}

Value list_method(const List& list, const std::string& name, const Arguments& a, int line) {
  const Value wanted = a.get(0, "value");
  const auto same = [&](const Value& one) { return equal(one, wanted); };
  if (name == "count") return static_cast<int64_t>(std::ranges::count_if(list, same));
  const auto place = std::ranges::find_if(list, same);
  if (place == list.end()) stop(line, "index: the list has no such item");
  return static_cast<int64_t>(place - list.begin());
}

}  // namespace

bool has_method(const Value& self, std::string_view name) {
  const auto has = [&](const auto& names) {
    return std::ranges::find(names, name) != std::end(names);
  };
  if (self.text()) return has(kTextMethods);
  if (self.list()) return has(kListMethods);
  return self.mapping() && !self.mapping()->is_namespace && has(kMappingMethods);
}

Value call_method(const Function& method, const Arguments& arguments, int line) {
  const Value& self = *method.self;
  if (self.text()) return text_method(*self.text(), method.name, arguments, line);
  if (self.list()) return list_method(*self.list(), method.name, arguments, line);
  return mapping_method(self, method.name, arguments, line);
}

}  // namespace llmpq::chat
