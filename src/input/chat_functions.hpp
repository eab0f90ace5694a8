// Filters, tests, methods and functions that chat templates may call, by Jinja's and Python's
// names. Everything else is refused with the supported ones.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "input/chat_value.hpp"

namespace llmpq::chat {

/// The arguments of a call; named ones are taken by name, or by their place among `names`.
struct Arguments {
  std::vector<Value> by_place;
  std::vector<std::pair<std::string, Value>> by_name;

  /// The argument with this place or name; `otherwise` if it is not given.
  Value get(size_t place, std::string_view name, Value otherwise = None{}) const;
};

inline constexpr size_t kLongestText = size_t{1} << 26;  ///< bytes that a template may make
inline constexpr int64_t kMostItems = 100'000;           ///< of a list that a template makes

/// out += part, if it does not become too long.
void append(std::string& out, std::string_view part, int line);

/// Stops rendering: Error(kPrompts) "the chat template, line N: ...".
[[noreturn]] void stop(int line, std::string_view sentence);

/// value | name(arguments)
Value apply_filter(const std::string& name, const Value& value, const Arguments& arguments,
                   int line);
/// value is name(arguments)
bool apply_test(const std::string& name, const Value& value, const Arguments& arguments, int line);
/// self.name(arguments), for methods of text, lists and mappings.
Value call_method(const Function& method, const Arguments& arguments, int line);

/// Nothing if there is such a filter or test; else the supported ones, for a message.
std::optional<std::string> why_no_filter(const std::string& name);
std::optional<std::string> why_no_test(const std::string& name);
/// Whether values of this kind have a method of that name.
bool has_method(const Value& self, std::string_view name);

/// value[begin:end:step] with None for what is not given, of text (by characters) and lists.
Value slice(const Value& value, const Value& begin, const Value& end, const Value& step, int line);
/// a.b.c of a value, where a filter takes the name of an attribute; None: the value itself.
Value attribute(Value value, const Value& path, int line);
/// The pairs of a mapping.
List pairs_of(const Value& value, int line);
/// value[key]; undefined if there is none.
Value item(const Value& value, const Value& key);
/// needle in haystack
bool contains(const Value& haystack, const Value& needle, int line);
/// The items that a loop over the value sees: of a list, the keys of a mapping, characters of text.
List items_of(const Value& value, int line);

}  // namespace llmpq::chat
