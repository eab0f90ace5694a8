#include "input/prompt_record.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/whole.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

using nlohmann::json;
constexpr auto kCode = Exit::kPrompts;

/// Text that HDF5 cannot hold as it is would come back shorter.
std::string checked_text(const json& value, const std::string& what) {
  CHECK(value.is_string(), kCode, "{}: want a string, found {}", what, value.type_name());
  std::string text = value.get<std::string>();
  CHECK(text.find('\0') == std::string::npos, kCode,
        "{}: has a character U+0000, at which strings in HDF5 end; take it out", what);
  return text;
}

std::vector<int32_t> token_ids(const json& value, const std::string& what) {
  std::vector<int32_t> tokens;
  for (const json& id : value) {
    CHECK(id.is_number_integer() && id >= 0 && id <= std::numeric_limits<int32_t>::max(), kCode,
          "{}: want token ids, found {}", what, dump_json(id));
    tokens.push_back(id.get<int32_t>());
  }
  return tokens;
}

void read_prompt(const json& value, const std::string& what, PromptRecord& record) {
  CHECK(value.is_string() || value.is_array(), kCode,
        "{}: want a string or an array of token ids, found {}", what, value.type_name());
  record.has_tokens = value.is_array();
  if (record.has_tokens) {
    record.tokens = token_ids(value, what);
  } else {
    record.text = checked_text(value, what);
  }
}

std::string id_text(const json& value, const std::string& what) {
  CHECK(value.is_string() || value.is_number_integer(), kCode,
        "{}: want a string or an integer, found {}", what, value.type_name());
  return value.is_string() ? checked_text(value, what) : dump_json(value);
}

std::string stop_text(const json& value, const std::string& what) {
  const bool right =
      value.is_string() || (value.is_array() && std::ranges::all_of(value, [](const json& stop) {
                              return stop.is_string();
                            }));
  CHECK(right, kCode, "{}: want a string or an array of strings, found {}", what, dump_json(value));
  const bool plain = value.is_string() && !value.get<std::string>().starts_with('[');
  if (plain) return checked_text(value, what);
  return dump_json(value.is_string() ? json::array({value}) : value);
}

double option_value(const RowOption& option, const json& value, const std::string& what) {
  if (value.is_boolean()) {
    CHECK(option.name == "ignore_eos", kCode, "{}: want a number, found {}", what,
          dump_json(value));
    return value.get<bool>() ? 1 : 0;
  }
  CHECK(value.is_number(), kCode, "{}: want a number, found {}", what, dump_json(value));
  const double number = value.get<double>();
  CHECK(!option.is_integer || is_whole(number), kCode, "{}: want an integer, found {}", what,
        dump_json(value));
  return number;
}

/// Integers with gaps are floats in pandas, and come as such: 7.0.
int64_t seed_value(const json& value, const std::string& what) {
  if (value.is_number_float() && is_whole(value.get<double>()))
    return static_cast<int64_t>(value.get<double>());
  CHECK(value.is_number_integer(), kCode, "{}: want an integer, found {}", what, dump_json(value));
  const bool fits = !value.is_number_unsigned() || value.get<uint64_t>() <= kMostSeed;
  CHECK(fits, kCode, "{}: want at most {}, found {}", what, kMostSeed, dump_json(value));
  return value.get<int64_t>();
}

const RowOption* find_row_option(const std::string& key) {
  const std::string name = key == "max_completion_tokens" ? "max_tokens" : key;
  const auto options = row_options();
  const auto found = std::ranges::find(options, name, &RowOption::name);
  return found == options.end() ? nullptr : &*found;
}

/// In the order of row_options(); what comes later, in the body of a batch line, counts.
void set_option(PromptRecord& record, const RowOption* option, double value) {
  const auto at = std::ranges::lower_bound(record.options, option, {},
                                           &std::pair<const RowOption*, double>::first);
  if (at != record.options.end() && at->first == option) {
    at->second = value;
  } else {
    record.options.emplace(at, option, value);
  }
}

bool is_of_chat(std::string_view key) {
  constexpr std::string_view kKeys[] = {"messages", "tools", "documents", "add_generation_prompt",
                                        "chat_template_kwargs"};
  return std::ranges::find(kKeys, key) != std::end(kKeys);
}

/// Reads one key; false if it is none of ours.
bool read_key(const std::string& key, const json& value, const std::string& what,
              PromptRecord& record) {
  if (key == "prompt" || key == "text" || key == "prompt_token_ids") {
    read_prompt(value, what, record);
  } else if (key == "id" || key == "custom_id") {
    record.id = id_text(value, what);
  } else if (key == "seed") {
    record.seed = seed_value(value, what);
  } else if (key == "stop") {
    record.stop = stop_text(value, what);
  } else if (const RowOption* option = find_row_option(key)) {
    set_option(record, option, option_value(*option, value, what));
  } else {
    return false;
  }
  return true;
}

}  // namespace

PromptRecord record_from_json(const json& line, const std::string& where,
                              std::set<std::string>& unknown) {
  CHECK(line.is_object(), kCode, "{}: want a JSON object, found {}", where, line.type_name());
  const bool is_batch = line.contains("body") && line["body"].is_object();
  const json& body = is_batch ? line["body"] : line;
  const int prompts = static_cast<int>(body.count("prompt") + body.count("text") +
                                       body.count("prompt_token_ids") + body.count("messages"));
  CHECK(prompts == 1, kCode,
        "{}: want one of the keys prompt, text, prompt_token_ids and messages, found {} of them",
        where, prompts);
  PromptRecord record;
  record.is_chat = body.contains("messages");
  for (const json* object : {&line, &body}) {
    for (const auto& [key, value] : object->items()) {
      const bool is_envelope = is_batch && (key == "method" || key == "url" || key == "body");
      const bool is_chat_key = record.is_chat && is_of_chat(key);
      if (value.is_null() || is_envelope || is_chat_key) continue;
      if (!read_key(key, value, where + ": " + key, record)) unknown.insert(key);
    }
    if (!is_batch) break;
  }
  return record;
}

std::string chat_of_line(std::string_view line, const std::string& where) {
  using nlohmann::ordered_json;
  ordered_json object = ordered_json::parse(line, nullptr, false);
  CHECK(object.is_object(), kCode, "{}: want a JSON object", where);
  if (object.contains("body") && object["body"].is_object()) object = object["body"];
  ordered_json chat;
  for (const auto& [key, value] : object.items())
    if (is_of_chat(key) && !value.is_null()) chat[key] = value;
  CHECK(chat["messages"].is_array(), kCode, "{}: messages: want an array, found {}", where,
        chat["messages"].type_name());
  std::string text = chat.dump(-1, ' ', false);
  CHECK(text.find("\\u0000") == std::string::npos, kCode,
        "{}: has a character U+0000, which prompts cannot have; take it out", where);
  return text;
}

nlohmann::ordered_json record_to_json(const PromptRecord& record) {
  nlohmann::ordered_json line;
  if (record.id) line["id"] = *record.id;
  if (record.has_tokens) {
    line["prompt_token_ids"] = record.tokens;
  } else {
    line["prompt"] = record.text;
  }
  for (const auto& [option, value] : record.options) {
    const std::string key(option->name);
    if (key == "ignore_eos") {
      line[key] = value != 0;
    } else if (option->is_integer) {
      line[key] = static_cast<int64_t>(value);
    } else {
      line[key] = value;
    }
  }
  if (record.seed) line["seed"] = *record.seed;
  if (record.stop.starts_with('[')) {
    line["stop"] = nlohmann::ordered_json::parse(record.stop, nullptr, false);
  } else if (!record.stop.empty()) {
    line["stop"] = record.stop;
  }
  return line;
}

}  // namespace llmpq
