// Reads job files: the values of a TOML document, each to its option.
#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "input/job_options.hpp"
#include "input/toml.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr std::uintmax_t kLargestJobFile = 1 << 20;

template <typename T>
bool is(const TomlValue& value) {
  return std::holds_alternative<T>(value.data);
}

/// Whether a TOML value of this type may stand for the option at all; its range is checked later.
bool type_fits(const Option& option, const TomlValue& value) {
  const auto* text = std::get_if<std::string>(&value.data);
  if (text && !option.binding.unset.empty() && *text == option.binding.unset) return true;
  switch (option.binding.type) {
    case ValueType::kFlag:
      return is<bool>(value);
    case ValueType::kInteger:
      return is<int64_t>(value) || (option.binding.commas && text);
    case ValueType::kNumber:
      return is<int64_t>(value) || is<double>(value);
    case ValueType::kBytes:
      return is<int64_t>(value) || text;
    case ValueType::kText:
    case ValueType::kChoice:
    case ValueType::kPath:
      break;
  }
  return text != nullptr;
}

std::vector<Scalar> scalars_of(const Option& option, const TomlValue& value,
                               const std::string& where) {
  CHECK(type_fits(option, value), Exit::kUsage, "{} is {}: want {}", where, type_name(value),
        wanted(option));
  const auto* text = std::get_if<std::string>(&value.data);
  if (text && option.binding.commas) return parse_text(option, *text, where);
  if (text) return {*text};
  if (const auto* flag = std::get_if<bool>(&value.data)) return {*flag};
  if (const auto* integer = std::get_if<int64_t>(&value.data)) return {*integer};
  return {std::get<double>(value.data)};
}

std::vector<Scalar> values_of(const Option& option, const TomlValue& value,
                              const std::string& where) {
  const auto* array = std::get_if<std::vector<TomlValue>>(&value.data);
  if (!array || !option.binding.list) return scalars_of(option, value, where);
  std::vector<Scalar> values;
  for (const auto& item : *array)
    for (auto& scalar : scalars_of(option, item, where)) values.push_back(std::move(scalar));
  return values;
}

}  // namespace

void read_job_toml(std::string_view text, const std::string& name,
                   const std::filesystem::path& folder, Command command, Job& job) {
  for (const auto& [key, value, line] : parse_toml(text, name)) {
    const Option* own = find_option(key, command);
    const Option* option = own ? own : find_key(key);
    CHECK(option, Exit::kUsage, "{}, line {}: unknown key \"{}\": {}", name, line, key,
          did_you_mean(key, command));
    const std::string where = fmt::format("{}, line {}: {}", name, line, key);
    set_option(job, *option, values_of(*option, value, where), folder, where);
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
