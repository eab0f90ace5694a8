// Cuts a chat template into tokens: text, and the names, signs and literals within its tags.
// Whitespace is handled as transformers asks Jinja to: trim_blocks and lstrip_blocks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llmpq::chat {

enum class TokenKind : uint8_t {
  kText,        ///< to be printed as it is
  kBlockBegin,  ///< {%
  kBlockEnd,    ///< %}
  kPrintBegin,  ///< {{
  kPrintEnd,    ///< }}
  kName,
  kString,  ///< escapes resolved
  kInteger,
  kFloat,
  kSign,  ///< operators and brackets
  kEnd,   ///< of the template
};

struct Token {
  TokenKind kind;
  std::string text;
  int line;
};

/// All tokens, an end token last. Error(kModel) for what is no token, the sentence beginning with
/// `where`.
std::vector<Token> lex(std::string_view source, const std::string& where);

}  // namespace llmpq::chat
