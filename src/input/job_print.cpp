// The job as text: TOML for people (--print-config), JSON for the result.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "input/job_options.hpp"

namespace llmpq {
namespace {

std::string toml_string(std::string_view text) {
  std::string quoted = "\"";
  for (const unsigned char c : text) {
    if (c == '"' || c == '\\')
      quoted += fmt::format("\\{}", static_cast<char>(c));
    else if (c < 0x20 || c == 0x7f)
      quoted += fmt::format("\\u{:04X}", c);
    else
      quoted += static_cast<char>(c);
  }
  return quoted + '"';
}

std::string toml_scalar(const Option& option, const Scalar& value) {
  const bool is_text = std::holds_alternative<std::string>(value);
  const bool is_size = option.binding.type == ValueType::kBytes;
  const std::string text = to_text(option, value);
  return is_text || is_size ? toml_string(text) : text;
}

/// The right side of `key = value`; empty if the option is not given and no word says so.
std::string toml_value(const Option& option, const std::vector<Scalar>& values) {
  const Binding& binding = option.binding;
  if (values.empty() && !binding.unset.empty()) return toml_string(binding.unset);
  if (!binding.list) return values.empty() ? "" : toml_scalar(option, values.front());
  std::vector<std::string> items;
  for (const auto& value : values) items.push_back(toml_scalar(option, value));
  return fmt::format("[{}]", fmt::join(items, ", "));
}

nlohmann::ordered_json json_scalar(const Scalar& value) {
  return std::visit([](const auto& x) { return nlohmann::ordered_json(x); }, value);
}

nlohmann::ordered_json json_value(const Option& option, const std::vector<Scalar>& values) {
  const Binding& binding = option.binding;
  if (values.empty() && !binding.unset.empty()) return binding.unset;
  if (!binding.list) return values.empty() ? nullptr : json_scalar(values.front());
  auto items = nlohmann::ordered_json::array();
  for (const auto& value : values) items.push_back(json_scalar(value));
  return items;
}

}  // namespace

std::string job_to_json(const Job& job, Command command) {
  auto object = nlohmann::ordered_json::object();
  for (const auto* option : options_of(command))
    object[option->name] = json_value(*option, option->binding.get(job));
  // Paths may hold any bytes; a JSON text may not.
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string job_to_toml(const Job& job, Command command) {
  std::string text = fmt::format("# llmpq {} JOB: every option with its value.\n", name(command));
  std::string group;
  for (const auto* option : options_of(command)) {
    if (option->name == "print-config") continue;  // or the job file would only print itself
    if (option->group != group) text += fmt::format("\n# {}\n", group = option->group);
    const std::string value = toml_value(*option, option->binding.get(job));
    text += fmt::format("\n# {}\n", option->help);
    text += value.empty() ? fmt::format("# {} is not given\n", option->name)
                          : fmt::format("{} = {}\n", option->name, value);
  }
  return text;
}

}  // namespace llmpq
