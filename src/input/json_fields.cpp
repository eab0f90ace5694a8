#include "input/json_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/table.hpp"
#include "input/job.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

using nlohmann::json;

constexpr std::string_view kPositive = "a number above 0", kNotNegative = "a number of 0 or more";

std::string shown(const json& value) { return shorten(dump_json(value), 60); }

}  // namespace

JsonFields::JsonFields(const json& object, std::string file, std::string path)
    : object_(&object), file_(std::move(file)), path_(std::move(path)) {
  CHECK(object.is_object(), Exit::kUsage, "{}: {}want an object, found {}", file_,
        path_.empty() ? "" : path_ + ": ", shown(object));
}

std::string JsonFields::where() const {
  return fmt::format("{}: {}{}", file_, path_, path_.empty() ? "" : ".");
}

void JsonFields::allow(const std::vector<std::string>& keys) const {
  for (const auto& item : object_->items()) {
    if (std::find(keys.begin(), keys.end(), item.key()) != keys.end()) continue;
    const std::string near = nearest_name(item.key(), keys);
    fail(Exit::kUsage, "{}{} is no key of this file; {}", where(), shorten(item.key(), 60),
         near.empty() ? fmt::format("want one of {}", fmt::join(keys, ", "))
                      : fmt::format("did you mean {}?", near));
  }
}

void JsonFields::check_format(std::string_view format) const {
  const std::string wanted = fmt::format("\"{}\"", format);
  if (at("format", wanted) != format) refuse("format", wanted);
}

const json* JsonFields::find(const std::string& key) const {
  const auto value = object_->find(key);
  return value == object_->end() || value->is_null() ? nullptr : &*value;
}

const json& JsonFields::at(const std::string& key, std::string_view wanted) const {
  const json* value = find(key);
  CHECK(value, Exit::kUsage, "{}{} is missing, want {}", where(), key, wanted);
  return *value;
}

std::vector<std::string> JsonFields::keys() const {
  std::vector<std::string> result;
  for (const auto& item : object_->items()) result.push_back(item.key());
  return result;
}

void JsonFields::refuse(const std::string& key, std::string_view wanted) const {
  fail(Exit::kUsage, "{}{}: want {}, found {}", where(), key, wanted, shown(object_->at(key)));
}

std::string JsonFields::text(const std::string& key) const {
  const json& value = at(key, "a text");
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) refuse(key, "a text");
  return value.get<std::string>();
}

std::string JsonFields::text_or(const std::string& key, std::string_view otherwise) const {
  const json* value = find(key);
  if (value == nullptr) return std::string(otherwise);
  if (!value->is_string()) refuse(key, "a text");
  return value->get<std::string>();
}

int64_t JsonFields::integer(const std::string& key, int64_t least, int64_t most) const {
  const std::string wanted = fmt::format("a whole number from {} to {}", least, most);
  const json& value = at(key, wanted);
  const bool fits = value.is_number_unsigned()
                        ? value.get<uint64_t>() <= static_cast<uint64_t>(most)
                        : value.is_number_integer();
  if (!fits || value.get<int64_t>() < least || value.get<int64_t>() > most) refuse(key, wanted);
  return value.get<int64_t>();
}

int64_t JsonFields::integer_or(const std::string& key, int64_t least, int64_t most,
                               int64_t otherwise) const {
  return has(key) ? integer(key, least, most) : otherwise;
}

double JsonFields::number(const std::string& key, std::string_view wanted) const {
  const json& value = at(key, wanted);
  if (!value.is_number() || !std::isfinite(value.get<double>())) refuse(key, wanted);
  return value.get<double>();
}

double JsonFields::positive(const std::string& key) const {
  const double value = number(key, kPositive);
  if (!(value > 0)) refuse(key, kPositive);
  return value;
}

double JsonFields::not_negative(const std::string& key) const {
  const double value = number(key, kNotNegative);
  if (!(value >= 0)) refuse(key, kNotNegative);
  return value;
}

double JsonFields::not_negative_or(const std::string& key, double otherwise) const {
  return has(key) ? not_negative(key) : otherwise;
}

std::vector<double> JsonFields::numbers(const std::string& key) const {
  constexpr std::string_view kWanted = "a list of numbers of 0 or more";
  const json& list = at(key, kWanted);
  if (!list.is_array() || list.empty()) refuse(key, kWanted);
  std::vector<double> values;
  for (size_t i = 0; i < list.size(); ++i) {
    const bool fits =
        list[i].is_number() && std::isfinite(list[i].get<double>()) && list[i].get<double>() >= 0;
    CHECK(fits, Exit::kUsage, "{}{}[{}]: want {}, found {}", where(), key, i, kNotNegative,
          shown(list[i]));
    values.push_back(list[i].get<double>());
  }
  return values;
}

JsonFields JsonFields::object(const std::string& key) const {
  return {at(key, "an object"), file_, path_.empty() ? key : fmt::format("{}.{}", path_, key)};
}

std::vector<JsonFields> JsonFields::objects(const std::string& key) const {
  std::vector<JsonFields> result;
  const json* list = find(key);
  if (list == nullptr) return result;
  if (!list->is_array()) refuse(key, "a list of objects");
  for (size_t i = 0; i < list->size(); ++i)
    result.emplace_back((*list)[i], file_,
                        fmt::format("{}{}{}[{}]", path_, path_.empty() ? "" : ".", key, i));
  return result;
}

}  // namespace llmpq
