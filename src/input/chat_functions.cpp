// Filters and tests.
#include "input/chat_functions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "input/chat_text.hpp"

namespace llmpq::chat {
namespace {

using Filter = Value (*)(const Value&, const Arguments&, int line);
using Test = bool (*)(const Value&, const Arguments&, int line);

template <typename Table>
std::string names_of(const Table& table) {
  std::vector<std::string_view> names;
  for (const auto& [name, function] : table) names.push_back(name);
  return fmt::format("{}", fmt::join(names, ", "));
}

int64_t length(const Value& value, int line) {
  if (value.text()) return std::ssize(characters(*value.text()));
  if (value.list()) return std::ssize(*value.list());
  if (value.mapping()) return std::ssize(value.mapping()->items);
  if (value.is_undefined()) return 0;
  stop(line, fmt::format("{} has no length", kind(value)));
}

Arguments without(const Arguments& arguments, size_t count) {
  Arguments rest;
  if (arguments.by_place.size() > count)
    rest.by_place.assign(arguments.by_place.begin() + static_cast<std::ptrdiff_t>(count),
                         arguments.by_place.end());
  return rest;
}

/// select, reject, selectattr, rejectattr: the items whose (attribute's) test has this result.
Value selected(const Value& value, const Arguments& a, bool by_attribute, bool wanted, int line) {
  const size_t at = by_attribute ? 1 : 0;
  const Value test = a.get(at, "", None{});
  List out;
  for (const Value& one : items_of(value, line)) {
    const Value tested = by_attribute ? attribute(one, a.get(0, ""), line) : one;
    const bool result = test.is_none()
                            ? truth(tested)
                            : apply_test(want_text(test, line), tested, without(a, at + 1), line);
    if (result == wanted) out.push_back(one);
  }
  return out;
}

Value map_items(const Value& value, const Arguments& a, int line) {
  List out;
  const Value path = a.get(99, "attribute");
  const Value otherwise = a.get(99, "default", Undefined{});
  for (const Value& one : items_of(value, line)) {
    if (path.is_none()) {
      out.push_back(apply_filter(want_text(a.get(0, ""), line), one, without(a, 1), line));
    } else {
      Value found = attribute(one, path, line);
      out.push_back(found.is_undefined() ? otherwise : found);
    }
  }
  return out;
}

Value to_integer(const Value& value, const Arguments& a, int line) {
  if (value.is_number()) return static_cast<int64_t>(value.number());
  const std::string text = strip(want_text(value, line), None{}, true, true, line);
  char* end = nullptr;
  const int64_t number = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0') return a.get(0, "default", int64_t{0});
  return number;
}

Value to_float(const Value& value, const Arguments& a, int line) {
  if (value.is_number()) return value.number();
  const std::string text = strip(want_text(value, line), None{}, true, true, line);
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') return a.get(0, "default", 0.0);
  return number;
}

Value reversed(const Value& value, int line) {
  List list = items_of(value, line);
  std::ranges::reverse(list);
  if (!value.text()) return list;
  return join(list, "", line);
}

/// Sorted by text or by number, without regard to case.
Value sorted(const Value& value, const Arguments& a, int line) {
  List list = items_of(value, line);
  const Value path = a.get(2, "attribute");
  const auto less = [&](const Value& one, const Value& other) {
    const Value x = attribute(one, path, line), y = attribute(other, path, line);
    if (x.is_number() && y.is_number()) return x.number() < y.number();
    return lower(want_text(x, line)) < lower(want_text(y, line));
  };
  std::ranges::stable_sort(list, less);
  if (truth(a.get(0, "reverse", false))) std::ranges::reverse(list);
  return list;
}

Value unique(const Value& value, int line) {
  List out;
  for (const Value& one : items_of(value, line))
    if (std::ranges::none_of(out, [&](const Value& other) { return equal(one, other); }))
      out.push_back(one);
  return out;
}

Value to_json_text(const Value& value, const Arguments& a, int line) {
  const Value indent = a.get(99, "indent", a.get(0, ""));
  return json_of(value, indent.is_none() ? -1 : want_whole(indent, line));
}

Value or_default(const Value& value, const Arguments& a) {
  const bool by_truth = truth(a.get(1, "boolean", false));
  const bool missing = value.is_undefined() || (by_truth && !truth(value));
  return missing ? a.get(0, "default_value", "") : value;
}

#define LLMPQ_FILTER(name, result)                                    \
  {                                                                   \
    name, [](const Value& v, const Arguments& a, int line) -> Value { \
      (void)a;                                                        \
      (void)line;                                                     \
      return result;                                                  \
    }                                                                 \
  }
const std::map<std::string_view, Filter>& filters() {
  static const std::map<std::string_view, Filter> kFilters = {
      LLMPQ_FILTER("trim", strip(text_of(v), a.get(0, "chars"), true, true, line)),
      LLMPQ_FILTER("upper", upper(text_of(v))),
      LLMPQ_FILTER("lower", lower(text_of(v))),
      LLMPQ_FILTER("title", title(text_of(v))),
      LLMPQ_FILTER("capitalize", capitalize(text_of(v))),
      LLMPQ_FILTER("length", length(v, line)),
      LLMPQ_FILTER("count", length(v, line)),
      LLMPQ_FILTER("default", or_default(v, a)),
      LLMPQ_FILTER("d", or_default(v, a)),
      LLMPQ_FILTER("tojson", to_json_text(v, a, line)),
      LLMPQ_FILTER("first", items_of(v, line).empty() ? Value() : items_of(v, line).front()),
      LLMPQ_FILTER("last", items_of(v, line).empty() ? Value() : items_of(v, line).back()),
      LLMPQ_FILTER("list", items_of(v, line)),
      LLMPQ_FILTER("string", text_of(v)),
      LLMPQ_FILTER("safe", v),
      LLMPQ_FILTER("int", to_integer(v, a, line)),
      LLMPQ_FILTER("float", to_float(v, a, line)),
      LLMPQ_FILTER("abs", v.as<int64_t>() ? Value(std::abs(*v.as<int64_t>()))
                                          : Value(std::fabs(to_float(v, a, line).number()))),
      LLMPQ_FILTER("items", v.is_undefined() ? List() : pairs_of(v, line)),
      LLMPQ_FILTER("reverse", reversed(v, line)),
      LLMPQ_FILTER("sort", sorted(v, a, line)),
      LLMPQ_FILTER("unique", unique(v, line)),
      LLMPQ_FILTER("indent", indented(text_of(v), a, line)),
      LLMPQ_FILTER("map", map_items(v, a, line)),
      LLMPQ_FILTER("select", selected(v, a, false, true, line)),
      LLMPQ_FILTER("reject", selected(v, a, false, false, line)),
      LLMPQ_FILTER("selectattr", selected(v, a, true, true, line)),
      LLMPQ_FILTER("rejectattr", selected(v, a, true, false, line)),
      {"join",
       [](const Value& v, const Arguments& a, int line) -> Value {
         List list;
         for (const Value& one : items_of(v, line))
           list.push_back(attribute(one, a.get(1, "attribute"), line));
         return join(list, text_of(a.get(0, "d", "")), line);
       }},
      {"replace",
       [](const Value& v, const Arguments& a, int line) -> Value {
         const Value most = a.get(2, "count");
         return replace(text_of(v), want_text(a.get(0, "old"), line),
                        want_text(a.get(1, "new"), line),
                        most.is_none() ? -1 : want_whole(most, line), line);
       }},
      {"dictsort",
       [](const Value& v, const Arguments&, int line) -> Value {
         List pairs = pairs_of(v, line);
         std::ranges::stable_sort(pairs, [](const Value& x, const Value& y) {
           return lower(*(*x.list())[0].text()) < lower(*(*y.list())[0].text());
         });
         return pairs;
       }},
  };
  return kFilters;
}
#undef LLMPQ_FILTER

bool divides(const Value& v, const Arguments& a, int line) {
  const int64_t by = want_whole(a.get(0, "num"), line);
  if (by == 0) stop(line, "divisibleby 0");
  return want_whole(v, line) % by == 0;
}

#define LLMPQ_TEST(name, result)                                     \
  {                                                                  \
    name, [](const Value& v, const Arguments& a, int line) -> bool { \
      (void)a;                                                       \
      (void)line;                                                    \
      return result;                                                 \
    }                                                                \
  }
const std::map<std::string_view, Test>& tests() {
  static const std::map<std::string_view, Test> kTests = {
      LLMPQ_TEST("defined", !v.is_undefined()),
      LLMPQ_TEST("undefined", v.is_undefined()),
      LLMPQ_TEST("none", v.is_none()),
      LLMPQ_TEST("string", v.text() != nullptr),
      LLMPQ_TEST("number", v.is_number()),
      LLMPQ_TEST("integer", v.as<int64_t>() != nullptr),
      LLMPQ_TEST("float", v.as<double>() != nullptr),
      LLMPQ_TEST("boolean", v.as<bool>() != nullptr),
      LLMPQ_TEST("true", v.as<bool>() && *v.as<bool>()),
      LLMPQ_TEST("false", v.as<bool>() && !*v.as<bool>()),
      LLMPQ_TEST("mapping", v.mapping() && !v.mapping()->is_namespace),
      LLMPQ_TEST("sequence", v.text() || v.list() || (v.mapping() && !v.mapping()->is_namespace)),
      LLMPQ_TEST("iterable", v.text() || v.list() || v.is_undefined() ||
                                 (v.mapping() && !v.mapping()->is_namespace)),
      LLMPQ_TEST("callable", v.as<Function>() || v.as<std::shared_ptr<const Macro>>()),
      LLMPQ_TEST("odd", want_whole(v, line) % 2 != 0),
      LLMPQ_TEST("even", want_whole(v, line) % 2 == 0),
      LLMPQ_TEST("divisibleby", divides(v, a, line)),
      LLMPQ_TEST("in", contains(a.get(0, "seq"), v, line)),
      LLMPQ_TEST("eq", equal(v, a.get(0, "other"))),
      LLMPQ_TEST("equalto", equal(v, a.get(0, "other"))),
      LLMPQ_TEST("ne", !equal(v, a.get(0, "other"))),
      LLMPQ_TEST("lower", lower(text_of(v)) == text_of(v)),
      LLMPQ_TEST("upper", upper(text_of(v)) == text_of(v)),
  };
  return kTests;
}
#undef LLMPQ_TEST

}  // namespace

std::optional<std::string> why_no_filter(const std::string& name) {
  if (filters().contains(name)) return std::nullopt;
  return fmt::format("the filter `{}` is not supported; supported are {}", name,
                     names_of(filters()));
}

std::optional<std::string> why_no_test(const std::string& name) {
  if (tests().contains(name)) return std::nullopt;
  return fmt::format("the test `{}` is not supported; supported are {}", name, names_of(tests()));
}

Value apply_filter(const std::string& name, const Value& value, const Arguments& arguments,
                   int line) {
  if (const auto why = why_no_filter(name)) stop(line, *why);
  return filters().find(name)->second(value, arguments, line);
}

bool apply_test(const std::string& name, const Value& value, const Arguments& arguments, int line) {
  if (const auto why = why_no_test(name)) stop(line, *why);
  return tests().find(name)->second(value, arguments, line);
}

}  // namespace llmpq::chat
