// Pre-tokenizers of tokenizer.json: how a text is cut into the words that BPE works on. Most of
// them are one thing, a split by a pattern; ByteLevel and Metaspace also change the characters.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "input/token_piece.hpp"
#include "input/token_regex.hpp"

namespace llmpq {

/// What becomes of the matches of a split. For "a-b--c" split at "-":
/// kRemoved a b c, kIsolated a - b - - c, kMergedWithPrevious a- b- - c, kMergedWithNext a -b - -c,
/// kContiguous a - b -- c.
enum class Delimiter { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct SplitBy {
  Regex pattern;
  Delimiter behavior;
  bool invert = false;  ///< the pattern describes the words, not what is between them
};

/// GPT-2's way: cut by its pattern (if use_regex), then each byte becomes a printable character.
struct ByteLevelWords {
  bool add_prefix_space;
  bool use_regex;
};

/// SentencePiece's way: spaces become `replacement`, words begin with it.
struct MetaspaceWords {
  enum class Prepend { kAlways, kFirst, kNever };
  std::string replacement;  ///< one character
  Prepend prepend;
  bool split;
};

using PreTokenizerStep = std::variant<SplitBy, ByteLevelWords, MetaspaceWords>;

/// Splits that tokenizer.json has by name.
SplitBy split_words_and_signs();  ///< Whitespace: \w+ or [^\w\s]+
SplitBy split_at_whitespace();    ///< WhitespaceSplit
SplitBy split_digits(bool each);  ///< Digits: each one, or runs
SplitBy split_punctuation(Delimiter behavior);

/// Applies the steps in order to the pieces that are text; no piece is empty afterwards. Linear in
/// the length of the text for patterns that look ahead and back over a bounded distance.
void pre_tokenize(const std::vector<PreTokenizerStep>& steps, std::vector<Piece>& pieces);

}  // namespace llmpq
