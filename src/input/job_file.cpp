// Reads job files (TOML 1.0). The only place that sees toml++.
#include <fmt/format.h>
#include <toml++/toml.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "input/job_options.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr std::uintmax_t kLargestJobFile = 1 << 20;

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

/// Whether a TOML value of this type may stand for the option at all; its range is checked later.
bool type_fits(const Option& option, const toml::node& node) {
  const bool is_unset =
      !option.binding.unset.empty() && node.value_exact<std::string>() == option.binding.unset;
  if (is_unset) return true;
  switch (option.binding.type) {
    case ValueType::kFlag:
      return node.is_boolean();
    case ValueType::kInteger:
      return node.is_integer() || (option.binding.commas && node.is_string());
    case ValueType::kNumber:
      return node.is_number();
    case ValueType::kBytes:
      return node.is_integer() || node.is_string();
    case ValueType::kText:
    case ValueType::kChoice:
    case ValueType::kPath:
      break;
  }
  return node.is_string();
}

std::vector<Scalar> scalars_of(const Option& option, const toml::node& node,
                               const std::string& where) {
  CHECK(type_fits(option, node), Exit::kUsage, "{} is {}: want {}", where, type_name(node),
        wanted(option));
  if (const auto flag = node.value_exact<bool>()) return {*flag};
  if (const auto integer = node.value_exact<int64_t>()) return {*integer};
  if (const auto number = node.value_exact<double>()) return {*number};
  std::string text = *node.value_exact<std::string>();
  if (option.binding.commas) return parse_text(option, text, where);
  return {std::move(text)};
}

std::vector<Scalar> values_of(const Option& option, const toml::node& node,
                              const std::string& where) {
  const auto* array = node.as_array();
  if (!array || !option.binding.list) return scalars_of(option, node, where);
  std::vector<Scalar> values;
  for (const auto& item : *array)
    for (auto& value : scalars_of(option, item, where)) values.push_back(std::move(value));
  return values;
}

toml::table parse(std::string_view text, const std::string& name) {
  try {
    return toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    fail(Exit::kUsage, "{}, line {}, column {}: {}", name, begin.line, begin.column,
         error.description());
  }
}

}  // namespace

void read_job_toml(std::string_view text, const std::string& name,
                   const std::filesystem::path& folder, Command command, Job& job) {
  for (const auto& [toml_key, node] : parse(text, name)) {
    const std::string key(toml_key.str());
    const std::string line = fmt::format("{}, line {}", name, node.source().begin.line);
    const Option* option = find_option(key, command);
    CHECK(option, Exit::kUsage, "{}: unknown key \"{}\": {}", line, key,
          did_you_mean(key, command));
    const std::string where = fmt::format("{}: {}", line, key);
    set_option(job, *option, values_of(*option, node, where), folder, where);
  }
}

void read_job_file(const std::filesystem::path& path, Command command, Job& job) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  CHECK(!error, Exit::kUsage, "job file {}: {}", path.string(), error.message());
  CHECK(size <= kLargestJobFile, Exit::kUsage, "job file {} has {} bytes: want at most {}",
        path.string(), size, kLargestJobFile);
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  CHECK(file, Exit::kUsage, "job file {} cannot be read", path.string());
  const auto folder = std::filesystem::absolute(path).parent_path();
  read_job_toml(text.str(), path.string(), folder, command, job);
}

}  // namespace llmpq
