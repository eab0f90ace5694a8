#include "input/config_reader.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.hpp"
#include "base/utf8.hpp"

namespace llmpq {
namespace {

using nlohmann::json;

/// The value as JSON, cut where it would flood the terminal.
std::string found_text(const json& value) {
  constexpr size_t kLongest = 80;
  std::string text = dump_json(value);
  if (text.size() > kLongest)
    text = text.substr(0, valid_utf8_prefix(text.substr(0, kLongest))) + "...";
  return text;
}

}  // namespace

ConfigReader::ConfigReader(const json& object, std::string what)
    : object_(&object), what_(std::move(what)) {
  CHECK(object.is_object(), Exit::kModel, "{}: want a JSON object, found {}", what_,
        found_text(object));
}

bool ConfigReader::has(std::string_view key) const {
  const auto place = object_->find(key);
  return place != object_->end() && !place->is_null();
}

bool ConfigReader::mentions(std::string_view key) const { return object_->contains(key); }

const json& ConfigReader::at(std::string_view key) const {
  CHECK(has(key), Exit::kModel, "{}: {}: missing; take the config.json that came with the model",
        what_, key);
  return *object_->find(key);
}

int64_t ConfigReader::size(std::string_view key, int64_t most) const {
  const json& value = at(key);
  // An unsigned value above INT64_MAX is compared as unsigned, so that it does not turn negative.
  const bool fits = value.is_number_unsigned() && value.get<uint64_t>() >= 1 &&
                    value.get<uint64_t>() <= static_cast<uint64_t>(most);
  if (!fits) refuse(key, fmt::format("a whole number from 1 to {}", most));
  return value.get<int64_t>();
}

int64_t ConfigReader::size_or(std::string_view key, int64_t most, int64_t otherwise) const {
  return has(key) ? size(key, most) : otherwise;
}

double ConfigReader::number_or(std::string_view key, double least, double most,
                               double otherwise) const {
  if (!has(key)) return otherwise;
  const json& value = at(key);
  const bool fits =
      value.is_number() && value.get<double>() >= least && value.get<double>() <= most;
  if (!fits) refuse(key, fmt::format("a number from {} to {}", least, most));
  return value.get<double>();
}

bool ConfigReader::flag_or(std::string_view key, bool otherwise) const {
  if (!has(key)) return otherwise;
  if (!at(key).is_boolean()) refuse(key, "true or false");
  return at(key).get<bool>();
}

std::string ConfigReader::text(std::string_view key) const {
  if (!at(key).is_string()) refuse(key, "a string");
  return at(key).get<std::string>();
}

std::string ConfigReader::text_or(std::string_view key, std::string_view otherwise) const {
  return has(key) ? text(key) : std::string(otherwise);
}

ConfigReader ConfigReader::object(std::string_view key) const {
  if (!at(key).is_object()) refuse(key, "an object");
  return {at(key), fmt::format("{}: {}", what_, key)};
}

std::string_view ConfigReader::first_of(std::initializer_list<std::string_view> keys) const {
  for (const auto key : keys)
    if (has(key)) return key;
  return *keys.begin();
}

void ConfigReader::refuse(std::string_view key, std::string_view wanted) const {
  fail(Exit::kModel, "{}: {}: want {}, found {}", what_, key, wanted, found_text(at(key)));
}

void ConfigReader::refuse_if_set(std::string_view key) const {
  if (flag_or(key, false)) refuse(key, "false (a model with true is not supported)");
}

}  // namespace llmpq
