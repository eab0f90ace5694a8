// One prompt with its own options, as it stands in a JSONL, CSV or prompts file. Used by convert.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "input/row_options.hpp"

namespace llmpq {

/// Of what a record can have.
inline constexpr uint64_t kMostSeed = std::numeric_limits<int64_t>::max();

struct PromptRecord {
  std::optional<std::string> id;
  std::string text;  ///< or chat messages as JSON, see is_chat
  bool is_chat = false;
  std::vector<int32_t> tokens;
  bool has_tokens = false;                                   ///< `tokens` is the prompt, not `text`
  std::vector<std::pair<const RowOption*, double>> options;  ///< those that are set
  std::optional<int64_t> seed;
  std::string stop;  ///< one string or a JSON array of strings; empty: none
};

/// Reads the keys prompt or text or prompt_token_ids, id or custom_id, seed, stop and the sampling
/// options; in an OpenAI batch line they are in `body`. Chat messages in place of a prompt make an
/// is_chat record without its text: chat_of_line. Keys that nobody knows go to `unknown`.
/// `where` (file and line) begins the sentence of every Error(kPrompts).
PromptRecord record_from_json(const nlohmann::json& line, const std::string& where,
                              std::set<std::string>& unknown);

/// The chat of a JSONL line (or of its `body`) as JSON text, its keys in their order: messages,
/// tools, documents, add_generation_prompt, chat_template_kwargs.
std::string chat_of_line(std::string_view line, const std::string& where);

/// The same record as one flat object; reading it gives the record again.
nlohmann::ordered_json record_to_json(const PromptRecord& record);

}  // namespace llmpq
