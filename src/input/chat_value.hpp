// The values that a chat template computes with: Python's, as far as templates see them. Lists,
// mappings and namespaces are shared, like Python's references.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace llmpq::chat {

struct Value;
struct Macro;

struct Undefined {
  std::string name;  ///< what was looked for, for messages
};
struct None {};
using List = std::vector<Value>;
/// In the order of insertion; keys are strings.
struct Mapping {
  std::vector<std::pair<std::string, Value>> items;
  bool is_namespace = false;

  Value* find(std::string_view key);
  void set(std::string_view key, Value value);
};
/// A method of a value, or a global function, by name.
struct Function {
  std::string name;
  std::shared_ptr<Value> self;  ///< null for a global function
};

struct Value {
  std::variant<Undefined, None, bool, int64_t, double, std::string, std::shared_ptr<List>,
               std::shared_ptr<Mapping>, Function, std::shared_ptr<const Macro>>
      data;

  Value() = default;
  template <typename T>
  requires(!std::is_same_v<std::decay_t<T>, Value>) Value(T value)
      : data(std::move(value)) {}  // NOLINT: what a template writes is a value
  Value(const char* text) : data(std::string(text)) {}
  Value(std::string_view text) : data(std::string(text)) {}
  Value(List list) : data(std::make_shared<List>(std::move(list))) {}
  Value(Mapping mapping) : data(std::make_shared<Mapping>(std::move(mapping))) {}

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&data);
  }
  const std::string* text() const { return as<std::string>(); }
  const List* list() const;
  Mapping* mapping() const;
  bool is_undefined() const { return as<Undefined>() != nullptr; }
  bool is_none() const { return as<None>() != nullptr; }
  bool is_number() const { return as<int64_t>() || as<double>() || as<bool>(); }
  /// Of a number; booleans are 0 and 1.
  double number() const;
};

Value from_json(const nlohmann::ordered_json& json);

bool truth(const Value& value);
/// Python's ==: numbers by value, containers by content.
bool equal(const Value& a, const Value& b);
/// "string", "list", ... for messages.
std::string_view kind(const Value& value);

/// Python's str(): what {{ value }} prints; "" if undefined.
std::string text_of(const Value& value);
/// json.dumps(value, ensure_ascii=False, indent=indent); indent < 0: on one line, ", " and ": ".
std::string json_of(const Value& value, int64_t indent);

/// The characters of a text, each as the bytes that it has.
std::vector<std::string_view> characters(std::string_view text);

}  // namespace llmpq::chat
