// Items of values: by key, by place, by range, one after the other; and arguments of calls.
#include <fmt/format.h>

#include <algorithm>

#include "input/chat_text.hpp"
#include "kernels/check.hpp"

namespace llmpq::chat {

Value Arguments::get(size_t place, std::string_view name, Value otherwise) const {
  if (place < by_place.size()) return by_place[place];
  for (const auto& [other, value] : by_name)
    if (other == name) return value;
  return otherwise;
}

void append(std::string& out, std::string_view part, int line) {
  if (out.size() + part.size() > kLongestText) stop(line, "the text becomes too long");
  out += part;
}

void stop(int line, std::string_view sentence) {
  fail(Exit::kPrompts, "the chat template, line {}: {}", line, sentence);
}

Value attribute(Value value, const Value& path, int line) {
  if (path.is_none()) return value;
  for (const Value& name : split_at(want_text(path, line), ".", -1, false)) {
    Value next = item(value, name);
    value = std::move(next);
  }
  return value;
}

List pairs_of(const Value& value, int line) {
  if (!value.mapping()) stop(line, fmt::format("want a mapping, found {}", kind(value)));
  List out;
  for (const auto& [key, one] : value.mapping()->items) out.push_back(List{key, one});
  return out;
}

Value slice(const Value& value, const Value& begin, const Value& end, const Value& step, int line) {
  const List all = items_of(value, line);
  const int64_t count = std::ssize(all);
  const int64_t stride = step.is_none() ? 1 : want_whole(step, line);
  if (stride == 0) stop(line, "a slice wants a step other than 0");
  const auto place = [&](const Value& part, int64_t otherwise) {
    if (part.is_none()) return otherwise;
    const int64_t at = want_whole(part, line);
    const int64_t from_start = at < 0 ? at + count : at;
    return std::clamp<int64_t>(from_start, stride < 0 ? -1 : 0, stride < 0 ? count - 1 : count);
  };
  List out;
  const int64_t last = place(end, stride < 0 ? -1 : count);
  for (int64_t at = place(begin, stride < 0 ? count - 1 : 0); stride > 0 ? at < last : at > last;
       at += stride)
    out.push_back(all[static_cast<size_t>(at)]);
  if (value.text()) return join(out, "", line);
  return out;
}

Value item(const Value& value, const Value& key) {
  const std::string name = key.is_undefined() || key.is_none() ? "" : text_of(key);
  if (const Mapping* mapping = value.mapping(); mapping && key.text()) {
    const Value* found = value.mapping()->find(*key.text());
    return found ? *found : Value(Undefined{name});
  }
  const auto* number = key.as<int64_t>();
  if (!number || !(value.text() || value.list())) return Undefined{name};
  const List all = value.list() ? *value.list() : items_of(value, 0);
  const int64_t at = *number < 0 ? *number + std::ssize(all) : *number;
  if (at < 0 || at >= std::ssize(all)) return Undefined{name};
  return all[static_cast<size_t>(at)];
}

bool contains(const Value& haystack, const Value& needle, int line) {
  if (haystack.text()) return haystack.text()->find(want_text(needle, line)) != std::string::npos;
  if (haystack.is_undefined() || haystack.list() || haystack.mapping())
    return std::ranges::any_of(items_of(haystack, line),
                               [&](const Value& one) { return equal(one, needle); });
  stop(line, fmt::format("`in` wants text, a list or a mapping, found {}", kind(haystack)));
}

List items_of(const Value& value, int line) {
  if (value.list()) return *value.list();
  List out;
  if (value.text()) {
    for (const auto c : characters(*value.text())) out.push_back(c);
  } else if (const Mapping* mapping = value.mapping(); mapping && !mapping->is_namespace) {
    for (const auto& [key, one] : mapping->items) out.push_back(key);
  } else if (!value.is_undefined()) {
    stop(line, fmt::format("{} has no items", kind(value)));
  }
  return out;
}

}  // namespace llmpq::chat
