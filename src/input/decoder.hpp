// Decoders of tokenizer.json: from tokens back to text. A decoder there is a chain of steps over a
// list of strings; here each step is a stage of a stream, so that decoding a whole list and
// decoding token by token are the same code.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "input/normalizer.hpp"

namespace llmpq {

struct DecodeByteLevel {};     ///< printable characters back to bytes, all tokens to one
struct DecodeByteFallback {};  ///< tokens <0xNN> to bytes; a run that is not UTF-8 to U+FFFD each
struct DecodeFuse {};          ///< all tokens to one
struct DecodeStrip {           ///< up to `start` and `stop` times `content` off a token's ends
  std::string content;         ///< one character
  size_t start;
  size_t stop;
};
struct DecodeMetaspace {
  std::string replacement;  ///< one character, which becomes a space,
  bool drop_in_first;       ///< or nothing in the first token
};
struct DecodeJoin {};  ///< no decoder: tokens with a space between them

using DecoderStep = std::variant<DecodeByteLevel, DecodeByteFallback, DecodeFuse, DecodeStrip,
                                 DecodeMetaspace, ReplaceText, DecodeJoin>;

/// One stage. Tokens come in as fragments (whole characters) with an end each; they leave the same
/// way towards the next stage, or as text behind the last one.
class DecoderStage {
 public:
  virtual ~DecoderStage() = default;
  virtual void fragment(std::string_view text) = 0;
  virtual void end_token() = 0;
  virtual void finish() = 0;
};

/// The chain of stages over one sequence of tokens. Not shared by threads; `steps` must outlive it.
/// What has become certain is in text() at once, in constant amortized time per token.
class DecoderChain {
 public:
  explicit DecoderChain(const std::vector<DecoderStep>& steps);
  ~DecoderChain();
  DecoderChain(DecoderChain&&) noexcept;

  void token(std::string_view text);
  void finish();  ///< no token comes any more
  /// The text that became certain since the last call.
  std::string take_text();

 private:
  std::unique_ptr<std::string> text_;
  std::vector<std::unique_ptr<DecoderStage>> stages_;  ///< last one first
};

}  // namespace llmpq
