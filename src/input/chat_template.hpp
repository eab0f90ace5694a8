// A model's chat template: messages to the text that the model was trained to read, as
// transformers' apply_chat_template renders it. The language is Jinja's, as far as the templates of
// the model families use it (chat_parser.cpp and chat_functions.cpp say how far); anything else is
// refused when the template is read.
#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace llmpq {

/// Immutable after load; copies share the tree; several threads may render at once.
class ChatTemplate {
 public:
  /// A model folder's chat_template.jinja, or else tokenizer_config.json's chat_template (of
  /// several the one called "default"), with the special tokens that tokenizer_config.json names.
  /// Error(kModel) if there is none, or it uses what is not supported: file, line and what.
  static ChatTemplate load(const std::filesystem::path& model_folder);
  /// The same from texts; `config_json` (of tokenizer_config.json) may be empty, `name` stands for
  /// the file in messages.
  static ChatTemplate parse(std::string_view source, std::string_view config_json,
                            std::string_view name);

  /// `row` is JSON: a list of messages, or an object with `messages` and, if wanted, `tools`,
  /// `documents`, `add_generation_prompt` (true unless said) and `chat_template_kwargs`, whose
  /// entries become variables. Error(kPrompts) if it is not, if the template refuses the messages
  /// (raise_exception), or asks for what they do not have. `now`: what strftime_now tells.
  std::string render(std::string_view row, std::time_t now) const;

  /// Of the template and the special tokens: what resume compares.
  uint64_t content_hash() const;

 private:
  struct Parts;
  explicit ChatTemplate(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}

  std::shared_ptr<const Parts> parts_;
};

/// Whether a text is a row that render() takes.
bool is_chat(std::string_view text);

}  // namespace llmpq
