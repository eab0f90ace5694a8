// Added tokens of tokenizer.json: whole strings that are found in the text before it is cut into
// words, each with its flags. Used by the tokenizer.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "input/normalizer.hpp"
#include "input/token_model.hpp"
#include "input/token_piece.hpp"

namespace llmpq {

struct AddedToken {
  int32_t id;
  std::string content;
  bool single_word;  ///< not within a word
  bool lstrip;       ///< takes the spaces before it along
  bool rstrip;       ///< and those behind it
  bool normalized;   ///< is looked for in the normalized text, in normalized form
  bool special;      ///< is left out of decoded text
};

/// Finds strings in a text: at each position the longest one, from left to right without overlap.
class StringFinder {
 public:
  /// False if the string is empty or was there already.
  bool add(std::string_view string, size_t value);

  struct Found {
    size_t begin;
    size_t end;
    size_t value;
  };
  std::vector<Found> find_all(std::string_view text) const;

 private:
  static constexpr int32_t kNone = -1;
  int32_t child(int32_t node, char c) const;

  std::unordered_map<uint64_t, int32_t> edges_;  ///< node * 256 + byte -> node; a trie, 0 its root
  std::vector<int64_t> values_ = {kNone};        ///< by node
  std::array<bool, 256> first_bytes_{};
};

class AddedTokens {
 public:
  AddedTokens() = default;
  /// Throws Error(kModel), the sentence beginning with `where`, if an id contradicts the model's
  /// vocabulary, or if two tokens cannot be told apart. A content that stands twice: the last
  /// counts.
  AddedTokens(const std::vector<AddedToken>& tokens, const std::vector<NormalizerStep>& normalizer,
              const TokenModel& model, const std::string& where);

  /// Cuts a text into added tokens and stretches in between, which are then normalized.
  std::vector<Piece> split(std::string_view text,
                           const std::vector<NormalizerStep>& normalizer) const;

  const AddedToken* find(int32_t id) const;
  const AddedToken* find(std::string_view content) const;
  /// The string that decoders see of a token: normalized as it is looked for.
  const std::string& decoded_form(const AddedToken& token) const { return forms_.at(token.id); }
  /// Whether a string is the content of a special token: decides what decoding leaves out.
  bool is_special_content(const std::string& content) const;
  int32_t largest_id() const;

 private:
  void cut(const StringFinder& finder, Piece&& piece, std::vector<Piece>& out) const;

  std::unordered_map<int32_t, AddedToken> by_id_;
  std::unordered_map<std::string, int32_t> by_content_;
  std::unordered_map<int32_t, std::string> forms_;
  std::unordered_set<std::string> special_contents_;
  StringFinder raw_;         ///< tokens looked for in the text as it comes
  StringFinder normalized_;  ///< tokens looked for in the normalized text
};

}  // namespace llmpq
