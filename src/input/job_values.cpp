// Values of options: from the text of a flag, checked, into the Job, and back to text.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "input/job_options.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

struct ByteUnit {
  std::string_view name;
  int64_t bytes;
};
constexpr size_t kLongestShown = 200;  // bytes of a wrong value in a sentence
constexpr std::array<ByteUnit, 9> kByteUnits{{{"TiB", int64_t{1} << 40},
                                              {"GiB", int64_t{1} << 30},
                                              {"MiB", int64_t{1} << 20},
                                              {"KiB", int64_t{1} << 10},
                                              {"TB", 1000000000000},
                                              {"GB", 1000000000},
                                              {"MB", 1000000},
                                              {"kB", 1000},
                                              {"B", 1}}};

template <typename T>
std::optional<T> parse_whole(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// "2GiB", "1.5 GB", "4096".
std::optional<int64_t> parse_bytes(std::string_view text) {
  int64_t factor = 1;
  for (const auto& unit : kByteUnits) {
    if (!text.ends_with(unit.name)) continue;
    factor = unit.bytes;
    text.remove_suffix(unit.name.size());
    break;
  }
  while (text.ends_with(' ')) text.remove_suffix(1);
  const auto number = parse_whole<double>(text);
  if (!number || !std::isfinite(*number)) return std::nullopt;
  const double bytes = *number * static_cast<double>(factor);
  if (bytes < 0 || bytes > 1e18) return std::nullopt;
  return static_cast<int64_t>(bytes);
}

std::string bytes_text(int64_t bytes) {
  for (const auto& unit : kByteUnits)
    if (bytes != 0 && bytes % unit.bytes == 0)
      return fmt::format("{}{}", bytes / unit.bytes, unit.name);
  return "0B";
}

std::optional<Scalar> scalar_from_text(ValueType type, std::string_view text) {
  switch (type) {
    case ValueType::kFlag:
      if (text == "true") return true;
      if (text == "false") return false;
      return std::nullopt;
    case ValueType::kInteger:
      return parse_whole<int64_t>(text);
    case ValueType::kNumber:
      return parse_whole<double>(text);
    case ValueType::kBytes:
      return parse_bytes(text);
    case ValueType::kText:
    case ValueType::kChoice:
    case ValueType::kPath:
      break;
  }
  return std::string(text);
}

/// What the value is, for an error: `"abc"`, `-3`, `true`.
std::string found(const Option& option, const Scalar& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (!text) return to_text(option, value);
  std::string shown;
  for (const char c : text->substr(0, kLongestShown))
    shown += c == '\0' ? "\\u0000" : std::string{c};
  return fmt::format("\"{}{}\"", shown, text->size() > kLongestShown ? "..." : "");
}

/// The scalar as the alternative that the type stores; nothing if it cannot be that.
std::optional<Scalar> converted(ValueType type, const Scalar& value) {
  switch (type) {
    case ValueType::kFlag:
      if (std::holds_alternative<bool>(value)) return value;
      return std::nullopt;
    case ValueType::kInteger:
      if (std::holds_alternative<int64_t>(value)) return value;
      return std::nullopt;
    case ValueType::kNumber:
      if (const auto* integer = std::get_if<int64_t>(&value)) return static_cast<double>(*integer);
      if (std::holds_alternative<double>(value)) return value;
      return std::nullopt;
    case ValueType::kBytes:
      if (std::holds_alternative<int64_t>(value)) return value;
      if (const auto* text = std::get_if<std::string>(&value)) return parse_bytes(*text);
      return std::nullopt;
    case ValueType::kText:
    case ValueType::kChoice:
    case ValueType::kPath:
      if (std::holds_alternative<std::string>(value)) return value;
      return std::nullopt;
  }
  return std::nullopt;
}

bool in_range(const Range& range, const Scalar& value) {
  double number = 0;
  if (const auto* integer = std::get_if<int64_t>(&value))
    number = static_cast<double>(*integer);
  else if (const auto* real = std::get_if<double>(&value))
    number = *real;
  else
    return true;
  if (!std::isfinite(number) || number > range.high) return false;
  return range.above_low ? number > range.low : number >= range.low;
}

bool allowed(const Option& option, const Scalar& value) {
  if (option.binding.type == ValueType::kChoice) {
    const auto& choices = option.binding.choices;
    return std::find(choices.begin(), choices.end(), std::get<std::string>(value)) != choices.end();
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    const bool empty_item = option.binding.list && text->empty();
    return !empty_item && text->find('\0') == std::string::npos;
  }
  return in_range(option.binding.range, value);
}

std::filesystem::path absolute_path(const std::filesystem::path& folder, const std::string& text) {
  return std::filesystem::absolute(folder / text).lexically_normal();
}

/// The items of "key=value,..." as they are, but for the value of `key`, which becomes absolute.
std::string with_absolute_path(const std::filesystem::path& folder, const std::string& text,
                               const std::string& key) {
  std::string result;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string item = text.substr(begin, end - begin);
    const size_t value = key.size() + 1;
    const bool is_path = item.starts_with(key + "=") && item.size() > value;
    result += begin == 0 ? "" : ",";
    result += is_path ? key + "=" + absolute_path(folder, item.substr(value)).string() : item;
    begin = end + 1;
  }
  return result;
}

std::string range_text(const Range& range) {
  const std::string from = range.above_low ? "above" : "from";
  return fmt::format(" {} {} to {}", from, range.low, range.high);
}

}  // namespace

std::string wanted(const Option& option) {
  const Binding& binding = option.binding;
  const std::string unit = option.unit.empty() ? "" : fmt::format(" ({})", option.unit);
  const std::string or_unset = binding.unset.empty() ? "" : fmt::format(", or {}", binding.unset);
  switch (binding.type) {
    case ValueType::kFlag:
      return "true or false";
    case ValueType::kInteger:
      return fmt::format("an integer from {} to {}{}{}", static_cast<int64_t>(binding.range.low),
                         binding.range.high >= 9.2e18 ? std::numeric_limits<int64_t>::max()
                                                      : static_cast<int64_t>(binding.range.high),
                         unit, or_unset);
    case ValueType::kNumber:
      return fmt::format("a number{}{}{}", range_text(binding.range), unit, or_unset);
    case ValueType::kBytes:
      return fmt::format("a size such as 2GiB or 500MB{}", or_unset);
    case ValueType::kChoice: {
      auto names = binding.choices;
      if (!binding.unset.empty()) names.insert(names.begin(), binding.unset);
      return fmt::format("{}one of {}", binding.list ? "a list of values, each " : "",
                         fmt::join(names, ", "));
    }
    case ValueType::kPath:
      return "a path";
    case ValueType::kText:
      break;
  }
  return "a text (not empty, without U+0000)";
}

std::string to_text(const Option& option, const Scalar& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  const int64_t integer = std::get<int64_t>(value);
  return option.binding.type == ValueType::kBytes ? bytes_text(integer)
                                                  : fmt::format("{}", integer);
}

std::vector<Scalar> parse_text(const Option& option, std::string_view text,
                               const std::string& where) {
  std::vector<Scalar> values;
  bool more = true;
  while (more) {
    const size_t comma = option.binding.commas ? text.find(',') : std::string_view::npos;
    const std::string_view item = text.substr(0, comma);
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
    if (!option.binding.unset.empty() && item == option.binding.unset) {
      values.push_back(std::string(item));
      continue;
    }
    const auto value = scalar_from_text(option.binding.type, item);
    CHECK(value, Exit::kUsage, "{} is \"{}\": want {}", where, item, wanted(option));
    values.push_back(*value);
  }
  return values;
}

void set_option(Job& job, const Option& option, std::vector<Scalar> values,
                const std::filesystem::path& folder, const std::string& where) {
  const Binding& binding = option.binding;
  if (values.size() == 1 && !binding.unset.empty() && values[0] == Scalar(binding.unset))
    values.clear();
  for (auto& value : values) {
    const auto scalar = converted(binding.type, value);
    CHECK(scalar && allowed(option, *scalar), Exit::kUsage, "{} is {}: want {}", where,
          found(option, value), wanted(option));
    value = *scalar;
    auto* text = std::get_if<std::string>(&value);
    if (text && binding.type == ValueType::kPath && !text->empty())
      value = absolute_path(folder, *text).string();
    if (text && !binding.path_key.empty())
      value = with_absolute_path(folder, *text, binding.path_key);
  }
  binding.set(job, values);
}

}  // namespace llmpq
