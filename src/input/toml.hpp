// Reads job files: TOML 1.0 as far as keys with values and arrays go. Tables and dates, which no
// option takes, are told by line and column. Ours, because the parser that Debian 12 has (toml++
// 3.3) runs into undefined behaviour on broken files, and job files may come from anywhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace llmpq {

struct TomlValue {
  std::variant<bool, int64_t, double, std::string, std::vector<TomlValue>> data;
};

struct TomlEntry {
  std::string key;
  TomlValue value;
  int line = 0;  ///< of the key, from 1
};

/// The entries of a document in their order; keys are unique. Error(kUsage) begins with `name`,
/// the line and the column (in bytes, from 1) of what is wrong.
std::vector<TomlEntry> parse_toml(std::string_view text, const std::string& name);

/// "a string", "an integer", ...
std::string_view type_name(const TomlValue& value);

}  // namespace llmpq
