// Byte pair encoding: a word's characters are merged pair by pair, the pair of the lowest rank
// first, leftmost first among equals. Sennrich, Haddow, Birch 2016; options as in tokenizer.json's
// model.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "input/token_model.hpp"

namespace llmpq {

/// The model of a tokenizer.json as it stands there.
struct BpeModel {
  std::vector<std::pair<std::string, int32_t>> vocab;       ///< token and id, ids unique
  std::vector<std::pair<std::string, std::string>> merges;  ///< by rank
  std::optional<std::string> unk_token;                     ///< for characters without a token
  std::string continuing_subword_prefix;                    ///< before all characters but the first
  std::string end_of_word_suffix;                           ///< behind the last character
  bool fuse_unk = false;       ///< several unknown characters in a row become one unk_token
  bool byte_fallback = false;  ///< an unknown character becomes the tokens <0xNN> of its bytes
  bool ignore_merges = false;  ///< a word that is a token as a whole is taken as that
};

class WordCache;

/// A model ready to encode. Immutable but for a bounded cache of words; several threads may use it.
class Bpe final : public TokenModel {
 public:
  /// Throws Error(kModel), its sentence beginning with `where`, if a merge names an unknown token.
  Bpe(BpeModel model, const std::string& where);
  ~Bpe() override;
  Bpe(Bpe&&) noexcept;

  /// Appends the ids of one word (valid UTF-8) in O(n log n). Throws Error(kModel) if a character
  /// is unknown and unk_token is not in the vocabulary.
  void encode(std::string_view word, std::vector<int32_t>& ids) const override;

  std::optional<int32_t> id_of(std::string_view token) const override;
  const std::string* token(int32_t id) const override;
  size_t size() const override;
  int32_t largest_id() const override;

 private:
  struct Tables;
  std::unique_ptr<const Tables> tables_;
  std::unique_ptr<WordCache> cache_;
};

}  // namespace llmpq
