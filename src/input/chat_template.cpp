#include "input/chat_template.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/utf8.hpp"
#include "input/chat_render.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr int64_t kLargestFile = int64_t{64} << 20;
constexpr int kDeepestRow = 200;

/// JSON whose nesting is bounded before anything recurses over it.
ordered_json parse_ordered(std::string_view text, std::string_view what, Exit code) {
  int deepest = 0;
  const auto watch = [&](int depth, ordered_json::parse_event_t, ordered_json&) {
    deepest = std::max(deepest, depth);
    return deepest <= kDeepestRow;
  };
  ordered_json json = ordered_json::parse(text, watch, false);
  CHECK(deepest <= kDeepestRow, code, "{}: nests deeper than {}", what, kDeepestRow);
  CHECK(!json.is_discarded(), code, "{} is not valid JSON", what);
  return json;
}

/// A special token stands as text, or as an object with its content.
std::string token_text(const ordered_json& token) {
  if (token.is_string()) return token.get<std::string>();
  const bool has_content =
      token.is_object() && token.contains("content") && token["content"].is_string();
  return has_content ? token["content"].get<std::string>() : std::string();
}

/// bos_token, eos_token and their like.
chat::Mapping special_tokens(const ordered_json& config) {
  chat::Mapping tokens;
  if (!config.is_object()) return tokens;
  for (const auto& [key, value] : config.items()) {
    const std::string text = key.ends_with("_token") ? token_text(value) : "";
    if (!text.empty()) tokens.set(key, text);
  }
  return tokens;
}

/// chat_template of tokenizer_config.json: one text, or a list of {"name", "template"}.
std::string template_in(const ordered_json& config, const std::string& file) {
  const auto found = config.find("chat_template");
  CHECK(found != config.end() && !found->is_null(), Exit::kModel,
        "{}: no chat_template, and no chat_template.jinja beside it: this model cannot take chat "
        "messages; give finished prompts and no --chat",
        file);
  if (found->is_string()) return found->get<std::string>();
  if (found->is_array())
    for (const auto& entry : *found)
      if (entry.is_object() && entry.value("name", "") == "default" && entry.contains("template") &&
          entry["template"].is_string())
        return entry["template"].get<std::string>();
  fail(Exit::kModel, "{}: chat_template: want text, or a list with a template named default", file);
}

/// The row as an object with `messages`.
ordered_json row_object(std::string_view text) {
  ordered_json row = parse_ordered(text, "the row's chat", Exit::kPrompts);
  if (row.is_array()) row = ordered_json{{"messages", std::move(row)}};
  const bool has_messages = row.is_object() && row.contains("messages") &&
                            row["messages"].is_array() && !row["messages"].empty();
  CHECK(has_messages, Exit::kPrompts,
        "the row's chat: want a list of messages, or an object with such a list as `messages`");
  for (const auto& message : row["messages"])
    CHECK(message.is_object() && message.contains("role"), Exit::kPrompts,
          "the row's chat: want objects with `role` and `content` as messages, found {}",
          message.dump(-1, ' ', false, ordered_json::error_handler_t::replace).substr(0, 80));
  return row;
}

}  // namespace

struct ChatTemplate::Parts {
  chat::Body body;
  chat::Mapping special_tokens;
  uint64_t content_hash = 0;
};

ChatTemplate ChatTemplate::parse(std::string_view source, std::string_view config_json,
                                 std::string_view name) {
  const auto broken = first_invalid_byte(source);
  CHECK(!broken, Exit::kModel, "{}: byte {} of the chat template is not UTF-8", name, *broken);
  auto parts = std::make_shared<Parts>();
  parts->body = chat::parse(source, std::string(name));
  if (!config_json.empty())
    parts->special_tokens = special_tokens(parse_ordered(config_json, name, Exit::kModel));
  Hasher hasher;
  hasher.add(source);
  hasher.add(chat::text_of(parts->special_tokens));
  parts->content_hash = hasher.value();
  return ChatTemplate(std::move(parts));
}

ChatTemplate ChatTemplate::load(const fs::path& model_folder) {
  const fs::path config = model_folder / "tokenizer_config.json";
  const fs::path own = model_folder / "chat_template.jinja";
  std::error_code ignored;
  const std::string config_json =
      fs::exists(config, ignored) ? read_file(config, kLargestFile, Exit::kModel) : "{}";
  if (fs::exists(own, ignored))
    return parse(read_file(own, kLargestFile, Exit::kModel), config_json, own.string());
  const ordered_json json = parse_ordered(config_json, config.string(), Exit::kModel);
  CHECK(json.is_object(), Exit::kModel, "{}: want a JSON object", config.string());
  return parse(template_in(json, config.string()), config_json,
               config.string() + ": chat_template");
}

uint64_t ChatTemplate::content_hash() const { return parts_->content_hash; }

std::string ChatTemplate::render(std::string_view row, std::time_t now) const {
  const ordered_json object = row_object(row);
  chat::Mapping variables = parts_->special_tokens;
  variables.set("tools", chat::None{});
  variables.set("documents", chat::None{});
  variables.set("add_generation_prompt", true);
  for (const auto& [key, value] : object.items()) {
    const bool known = key == "messages" || key == "tools" || key == "documents" ||
                       key == "add_generation_prompt" || key == "chat_template_kwargs";
    CHECK(known, Exit::kPrompts,
          "the row's chat: `{}` is none of messages, tools, documents, add_generation_prompt and "
          "chat_template_kwargs",
          key);
    if (key != "chat_template_kwargs") variables.set(key, chat::from_json(value));
  }
  if (const auto more = object.find("chat_template_kwargs"); more != object.end()) {
    CHECK(more->is_object(), Exit::kPrompts,
          "the row's chat: chat_template_kwargs: want an object");
    for (const auto& [key, value] : more->items()) variables.set(key, chat::from_json(value));
  }
  return chat::render(parts_->body, variables, now);
}

bool is_chat(std::string_view text) {
  if (!text.starts_with('{') && !text.starts_with('[')) return false;
  try {
    row_object(text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace llmpq
