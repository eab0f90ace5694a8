#include "input/chat_value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/utf8.hpp"
#include "kernels/check.hpp"

namespace llmpq::chat {
namespace {

/// Python's repr of a float: the shortest text that reads back the same, with a point.
std::string number_text(double number) {
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".einf") == std::string::npos) text += ".0";
  return text;
}

/// Python's repr of a string.
std::string quoted(const std::string& text) {
  const bool plain = text.find('\'') == std::string::npos || text.find('"') != std::string::npos;
  const char quote = plain ? '\'' : '"';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + quote;
}

std::string repr(const Value& value) {
  return value.text() ? quoted(*value.text()) : text_of(value);
}

template <typename Items, typename Text>
std::string joined(const Items& items, Text text, std::string_view separator) {
  std::string out;
  for (const auto& item : items) {
    if (&item != &items.front()) out += separator;
    out += text(item);
  }
  return out;
}

nlohmann::ordered_json to_json(const Value& value) {
  if (const auto* number = value.as<bool>()) return *number;
  if (const auto* number = value.as<int64_t>()) return *number;
  if (const auto* number = value.as<double>()) return *number;
  if (value.text()) return *value.text();
  if (value.is_none()) return nullptr;
  if (const List* list = value.list()) {
    auto json = nlohmann::ordered_json::array();
    for (const Value& item : *list) json.push_back(to_json(item));
    return json;
  }
  if (const Mapping* mapping = value.mapping(); mapping && !mapping->is_namespace) {
    auto json = nlohmann::ordered_json::object();
    for (const auto& [key, item] : mapping->items) json[key] = to_json(item);
    return json;
  }
  fail(Exit::kPrompts, "the chat template asks for {} as JSON", kind(value));
}

std::string json_text(const nlohmann::ordered_json& json, int64_t indent, int64_t depth) {
  const auto line = [&](int64_t at) {
    return indent < 0 ? std::string() : "\n" + std::string(static_cast<size_t>(indent * at), ' ');
  };
  const std::string comma = indent < 0 ? ", " : ",";
  if (json.is_number_float()) return number_text(json.get<double>());
  if (json.empty() || !json.is_structured()) return json.dump(-1, ' ', false);
  std::string out = json.is_array() ? "[" : "{";
  bool is_first = true;
  for (const auto& [key, item] : json.items()) {
    if (!is_first) out += comma;
    is_first = false;
    out += line(depth + 1);
    if (json.is_object()) out += nlohmann::json(key).dump() + ": ";
    out += json_text(item, indent, depth + 1);
  }
  return out + line(depth) + (json.is_array() ? "]" : "}");
}

bool equal_lists(const List& a, const List& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal);
}

bool equal_mappings(const Mapping& a, Mapping& b) {
  return a.items.size() == b.items.size() && std::ranges::all_of(a.items, [&](const auto& item) {
           const Value* other = b.find(item.first);
           return other && equal(item.second, *other);
         });
}

}  // namespace

Value* Mapping::find(std::string_view key) {
  const auto place = std::ranges::find(items, key, [](const auto& item) { return item.first; });
  return place == items.end() ? nullptr : &place->second;
}

void Mapping::set(std::string_view key, Value value) {
  if (Value* place = find(key))
    *place = std::move(value);
  else
    items.emplace_back(key, std::move(value));
}

const List* Value::list() const {
  const auto* shared = as<std::shared_ptr<List>>();
  return shared ? shared->get() : nullptr;
}

Mapping* Value::mapping() const {
  const auto* shared = as<std::shared_ptr<Mapping>>();
  return shared ? shared->get() : nullptr;
}

double Value::number() const {
  if (const auto* whole = as<int64_t>()) return static_cast<double>(*whole);
  if (const auto* flag = as<bool>()) return *flag ? 1 : 0;
  return *as<double>();
}

Value from_json(const nlohmann::ordered_json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_float() || (json.is_number_unsigned() && json.get<uint64_t>() > INT64_MAX))
    return json.get<double>();
  if (json.is_number()) return json.get<int64_t>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    List list;
    for (const auto& item : json) list.push_back(from_json(item));
    return list;
  }
  if (json.is_object()) {
    Mapping mapping;
    for (const auto& [key, item] : json.items()) mapping.items.emplace_back(key, from_json(item));
    return mapping;
  }
  return None{};
}

bool truth(const Value& value) {
  if (value.is_number()) return value.number() != 0;
  if (value.text()) return !value.text()->empty();
  if (value.list()) return !value.list()->empty();
  if (const Mapping* mapping = value.mapping())
    return mapping->is_namespace || !mapping->items.empty();
  return !value.is_undefined() && !value.is_none();
}

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  if (a.text() && b.text()) return *a.text() == *b.text();
  if (a.list() && b.list()) return equal_lists(*a.list(), *b.list());
  if (a.mapping() && b.mapping())
    return a.mapping() == b.mapping() || equal_mappings(*a.mapping(), *b.mapping());
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

std::string_view kind(const Value& value) {
  constexpr std::string_view kKinds[] = {
      "something undefined", "none",       "a boolean", "a number", "a number", "text", "a list",
      "a mapping",           "a function", "a macro"};
  return kKinds[value.data.index()];
}

std::string text_of(const Value& value) {
  if (value.text()) return *value.text();
  if (const auto* flag = value.as<bool>()) return *flag ? "True" : "False";
  if (const auto* whole = value.as<int64_t>()) return fmt::format("{}", *whole);
  if (const auto* number = value.as<double>()) return number_text(*number);
  if (value.is_none()) return "None";
  if (value.is_undefined()) return "";
  if (const List* list = value.list()) return "[" + joined(*list, repr, ", ") + "]";
  if (const Mapping* mapping = value.mapping()) {
    const auto item = [](const auto& pair) {
      return quoted(pair.first) + ": " + repr(pair.second);
    };
    return "{" + joined(mapping->items, item, ", ") + "}";
  }
  fail(Exit::kPrompts, "the chat template prints {}", kind(value));
}

std::string json_of(const Value& value, int64_t indent) {
  return json_text(to_json(value), indent, 0);
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> all;
  for (size_t at = 0; at < text.size();) {
    const auto bytes = static_cast<size_t>(utf8_step(text.substr(at)).bytes);
    all.push_back(text.substr(at, bytes));
    at += bytes;
  }
  return all;
}

}  // namespace llmpq::chat
