#include "input/chat_operators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/whole.hpp"
#include "input/chat_functions.hpp"

namespace llmpq::chat {
namespace {

Value whole_or_float(const std::string& sign, const Value& a, const Value& b, int line) {
  const bool whole = !a.as<double>() && !b.as<double>();
  const double x = a.number(), y = b.number();
  if ((sign == "/" || sign == "//" || sign == "%") && y == 0) stop(line, "division by zero");
  if (sign == "/") return x / y;
  if (sign == "**") {
    const double power = std::pow(x, y);
    if (whole && y >= 0 && is_whole(power)) return static_cast<int64_t>(power);
    return power;
  }
  if (!whole) {
    if (sign == "+") return x + y;
    if (sign == "-") return x - y;
    if (sign == "*") return x * y;
    if (sign == "//") return std::floor(x / y);
    return x - std::floor(x / y) * y;
  }
  const auto i = static_cast<int64_t>(x), j = static_cast<int64_t>(y);
  int64_t result = 0;
  bool over = false;
  if (sign == "+") {
    over = __builtin_add_overflow(i, j, &result);
  } else if (sign == "-") {
    over = __builtin_sub_overflow(i, j, &result);
  } else if (sign == "*") {
    over = __builtin_mul_overflow(i, j, &result);
  } else {
    const int64_t remainder = j == -1 ? 0 : (i % j + j) % j;
    result = sign == "%" ? remainder : (i - remainder) / j;
  }
  if (over) stop(line, "a number is too large");
  return result;
}

Value less(const std::string& name, const Value& left, const Value& right, int line) {
  int order = 0;
  if (left.is_number() && right.is_number())
    order = left.number() < right.number() ? -1 : left.number() > right.number() ? 1 : 0;
  else if (left.text() && right.text())
    order = left.text()->compare(*right.text());
  else
    stop(line, fmt::format("{} and {} cannot be compared", kind(left), kind(right)));
  if (name == "<") return order < 0;
  if (name == "<=") return order <= 0;
  return name == ">" ? order > 0 : order >= 0;
}

Value joined(std::string left, const std::string& right, int line) {
  append(left, right, line);
  return left;
}

Value repeated(const Value& left, const Value& right, int line) {
  const int64_t count = std::max<int64_t>(0, *right.as<int64_t>());
  if (count > 0 && left.text()->size() > kLongestText / static_cast<size_t>(count))
    stop(line, "the text becomes too long");
  std::string text;
  for (int64_t i = 0; i < count; ++i) text += *left.text();
  return text;
}

Value arithmetic(const std::string& name, const Value& left, const Value& right, int line) {
  if (left.is_number() && right.is_number()) return whole_or_float(name, left, right, line);
  if (name == "+" && left.text() && right.text()) return joined(*left.text(), *right.text(), line);
  if (name == "+" && left.list() && right.list()) {
    List both = *left.list();
    both.insert(both.end(), right.list()->begin(), right.list()->end());
    if (std::ssize(both) > kMostItems) stop(line, "a list becomes too long");
    return both;
  }
  if (name == "*" && left.text() && right.as<int64_t>()) return repeated(left, right, line);
  stop(line, fmt::format("{} {} {} is not supported", kind(left), name, kind(right)));
}

}  // namespace

Value apply_operator(const std::string& name, const Value& left, const Value& right, int line) {
  if (name == "~") return joined(text_of(left), text_of(right), line);
  if (name[0] == '<' || name[0] == '>') return less(name, left, right, line);
  return arithmetic(name, left, right, line);
}

}  // namespace llmpq::chat
