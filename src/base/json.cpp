#include "base/json.hpp"

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

namespace llmpq {
namespace {

constexpr int kDeepest = 512;

/// Whether brackets outside strings nest deeper than `kDeepest`.
bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if ((c == '[' || c == '{') && ++depth > kDeepest) return true;
    if (c == ']' || c == '}') --depth;
  }
  return false;
}

nlohmann::json parse(std::string_view text, const nlohmann::json::parser_callback_t& callback,
                     const std::string& what, Exit code) {
  // The parser takes a NUL for the end, whatever follows.
  const size_t nul = text.find('\0');
  CHECK(nul == std::string_view::npos, code, "{}: not JSON at byte {}: a NUL", what, nul + 1);
  CHECK(!is_too_deep(text), code, "{}: nested deeper than {} levels", what, kDeepest);
  try {
    return nlohmann::json::parse(text, callback);
  } catch (const nlohmann::json::parse_error& error) {
    fail(code, "{}: not JSON at byte {}: {}", what, error.byte, error.what());
  } catch (const nlohmann::json::exception& error) {
    fail(code, "{}: not JSON: {}", what, error.what());
  }
}

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& what, Exit code) {
  return parse(text, nullptr, what, code);
}

nlohmann::json parse_json_unique(std::string_view text, const std::string& what, Exit code) {
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open
  const auto note = [&](int, Event event, const nlohmann::json& value) {
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key) {
      const auto& key = value.get_ref<const std::string&>();
      CHECK(keys.back().insert(key).second, code, "{}: '{}' stands there twice", what, key);
    }
    return true;
  };
  return parse(text, note, what, code);
}

std::string dump_json(const nlohmann::json& value, int indent) {
  return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string dump_json(const nlohmann::ordered_json& value, int indent) {
  return value.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace llmpq
