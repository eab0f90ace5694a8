// The tokenizer of a model, from its tokenizer.json (Hugging Face's format): text to ids and back,
// with the ids that the library `tokenizers` 0.23 gives. Byte pair encoding and unigram. What the
// file says of truncation and padding is not applied: the job decides about that.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llmpq {

struct TokenizerParts;

/// Immutable after load; copies share their tables; encode and decode may be called by several
/// threads at once. Time grows with the length of the text (n log n within one word).
class Tokenizer {
 public:
  /// Reads a tokenizer.json. Throws Error(kModel) with file, key and value if it is broken, or asks
  /// for something that is not supported.
  static Tokenizer load(const std::filesystem::path& tokenizer_json);
  /// The same from text; `name` stands for the file in messages.
  static Tokenizer parse(std::string_view json_text, std::string_view name);

  /// Token ids of a text; the post-processor's special tokens (bos ...) are added if add_special.
  /// Throws Error(kPrompts) on invalid UTF-8, with the byte's offset in the sentence.
  std::vector<int32_t> encode(std::string_view text, bool add_special = true) const;

  /// Text of ids. Ids without a token are left out, special ones too if skip_special; bytes that
  /// are not UTF-8 become U+FFFD.
  std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;

  /// The largest id + 1, added tokens included.
  int32_t vocab_size() const;
  std::optional<int32_t> id_of(std::string_view token) const;
  /// The vocabulary's own string of an id; empty if there is none.
  std::string token(int32_t id) const;
  /// Whether the id is an added token marked as special.
  bool is_special(int32_t id) const;

 private:
  friend class IncrementalDecoder;
  explicit Tokenizer(std::shared_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}

  std::shared_ptr<const TokenizerParts> parts_;
};

/// Decoding of one growing sequence. All texts from push, then finish, joined are the text of
/// Tokenizer::decode; no text ends within a character. Constant amortized time per token. A text is
/// held back as long as later tokens may change it: with byte fallback, runs of byte tokens.
class IncrementalDecoder {
 public:
  explicit IncrementalDecoder(const Tokenizer& tokenizer, bool skip_special = true);
  ~IncrementalDecoder();
  IncrementalDecoder(IncrementalDecoder&&) noexcept;
  IncrementalDecoder& operator=(IncrementalDecoder&&) noexcept;

  /// The text that became final with this token; often empty.
  std::string push(int32_t id);
  /// The rest. Nothing may be pushed afterwards.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace llmpq
