// JSON in and out, with errors that are ours. Headers include nlohmann/json_fwd.hpp only.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "kernels/check.hpp"

namespace llmpq {

/// Throws Error(code) that names `what` and the byte where the text stops being JSON. Deep nesting
/// (more than 512 levels) is refused, so that no reader of the value can run out of stack.
nlohmann::json parse_json(std::string_view text, const std::string& what, Exit code);

/// The same, and an object that has a key twice is refused with the key's name: for files where the
/// last one silently winning would hide the other.
nlohmann::json parse_json_unique(std::string_view text, const std::string& what, Exit code);

/// On one line (indent < 0) or indented; broken UTF-8 becomes U+FFFD instead of an exception.
std::string dump_json(const nlohmann::json& value, int indent = -1);
std::string dump_json(const nlohmann::ordered_json& value, int indent = -1);

}  // namespace llmpq
