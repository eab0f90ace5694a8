// Normalizers of tokenizer.json: what is done to the characters of a text before it is cut into
// words. Used by the tokenizer for each stretch between added tokens.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "input/character_trie.hpp"
#include "input/token_piece.hpp"
#include "input/token_regex.hpp"

namespace llmpq {

/// The four Unicode normalization forms, by the tables that `tokenizers` has (Unicode 9).
struct NormalForm {
  bool compose;        ///< NFC, NFKC
  bool compatibility;  ///< NFKC, NFKD
};
struct Lowercase {};
struct StripAccents {};
struct StripSpaces {
  bool left;
  bool right;
};
struct ReplaceText {
  Regex pattern;
  std::string content;
};
struct PrependText {
  std::string text;
};
/// SentencePiece's own table of replacements.
struct CharacterMap {
  std::shared_ptr<const CharacterTrie> trie;
};
/// Each byte becomes a printable character (GPT-2's table).
struct BytesToCharacters {};

using NormalizerStep = std::variant<NormalForm, Lowercase, StripAccents, StripSpaces, ReplaceText,
                                    PrependText, BytesToCharacters, CharacterMap>;

/// Applies the steps in order. Linear in the length of the text.
void normalize(const std::vector<NormalizerStep>& steps, Piece& piece);

/// The text with every match replaced by the content.
std::string replace_all(const ReplaceText& replace, std::string_view text);

}  // namespace llmpq
