// Reading a JSON file from outside: a value that knows its place in the file, so that every
// complaint names file, key and value. Heavy (nlohmann/json): for the file that parses
// tokenizer.json only.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/utf8.hpp"
#include "input/utf8_repair.hpp"
#include "kernels/check.hpp"

namespace llmpq {

constexpr int64_t kLargestTokenId = int64_t{1} << 24;

/// A value of the file with its place, for messages: `tokenizer.json: model.vocab`.
class JsonNode {
 public:
  JsonNode(const nlohmann::json& value, std::string place)
      : value_(&value), place_(std::move(place)) {}
  static JsonNode root(const nlohmann::json& value, std::string_view file) {
    JsonNode node(value, std::string(file));
    node.separator_ = ": ";
    return node;
  }

  const std::string& place() const { return place_; }
  bool is_string() const { return value_->is_string(); }

  /// The value of a key; nothing if the key is missing or null.
  std::optional<JsonNode> find(const char* key) const {
    expect(value_->is_object(), "an object");
    const auto found = value_->find(key);
    if (found == value_->end() || found->is_null()) return std::nullopt;
    return JsonNode(*found, joined(key));
  }

  JsonNode at(const char* key) const {
    const auto node = find(key);
    CHECK(node, Exit::kModel, "{}: `{}` is missing", place_, key);
    return *node;
  }

  std::string string() const {
    expect(value_->is_string(), "a string");
    return value_->get<std::string>();
  }

  /// A string of exactly one character.
  std::string character() const {
    const std::string text = string();
    CHECK(!text.empty() && utf8_length(text[0]) == text.size(), Exit::kModel,
          "{}: want one character, found `{}`", place_, text);
    return text;
  }

  bool boolean() const {
    expect(value_->is_boolean(), "true or false");
    return value_->get<bool>();
  }
  bool boolean_or(const char* key, bool otherwise) const {
    const auto node = find(key);
    return node ? node->boolean() : otherwise;
  }

  int64_t integer(int64_t low, int64_t high) const {
    expect(value_->is_number_integer(), "a whole number");
    const bool small = !value_->is_number_unsigned() || value_->get<uint64_t>() <= INT64_MAX;
    const int64_t number = small ? value_->get<int64_t>() : INT64_MAX;
    CHECK(small && number >= low && number <= high, Exit::kModel,
          "{}: want a number from {} to {}, found {}", place_, low, high, value_->dump());
    return number;
  }
  int32_t id() const { return static_cast<int32_t>(integer(0, kLargestTokenId)); }

  double number() const {
    expect(value_->is_number(), "a number");
    return value_->get<double>();
  }

  template <typename Visit>
  void each(Visit visit) const {
    expect(value_->is_array(), "a list");
    size_t i = 0;
    for (const nlohmann::json& item : *value_)
      visit(JsonNode(item, fmt::format("{}[{}]", place_, i++)));
  }

  template <typename Visit>
  void each_member(Visit visit) const {
    expect(value_->is_object(), "an object");
    for (const auto& [key, item] : value_->items()) visit(key, JsonNode(item, joined(key)));
  }

  std::string type() const { return at("type").string(); }

  [[noreturn]] void unsupported(std::string_view what, std::string_view supported) const {
    fail(Exit::kModel, "{}: `{}` is not supported; supported are {}", place_, what, supported);
  }

 private:
  std::string joined(const std::string& key) const {
    return fmt::format("{}{}{}", place_, separator_, key);
  }

  void expect(bool right, std::string_view wanted) const {
    CHECK(right, Exit::kModel, "{}: want {}, found {}", place_, wanted, value_->type_name());
  }

  const nlohmann::json* value_;
  std::string place_;
  std::string_view separator_ = ".";
};

}  // namespace llmpq
