// Unigram language model: of all ways to cut a word into tokens the one with the largest sum of
// log-probabilities (Viterbi). Kudo 2018, SentencePiece's model; options as in tokenizer.json.
#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "input/bpe_cache.hpp"
#include "input/token_model.hpp"

namespace llmpq {

/// The model of a tokenizer.json as it stands there: an id is a token's place in the list.
struct UnigramModel {
  std::vector<std::pair<std::string, double>> vocab;  ///< token and log-probability
  std::optional<int32_t> unk_id;                      ///< for characters without a token
  bool byte_fallback = false;  ///< what is unknown becomes the tokens <0xNN> of its bytes
};

class Unigram final : public TokenModel {
 public:
  /// Throws Error(kModel), its sentence beginning with `where`, if a token stands twice.
  Unigram(UnigramModel model, const std::string& where);

  /// Time: the word's length times the longest token's.
  void encode(std::string_view word, std::vector<int32_t>& ids) const override;

  std::optional<int32_t> id_of(std::string_view token) const override;
  const std::string* token(int32_t id) const override;
  size_t size() const override { return model_.vocab.size(); }
  int32_t largest_id() const override { return static_cast<int32_t>(model_.vocab.size()) - 1; }

 private:
  /// A place between two characters, and the best way to it.
  struct Place {
    double score = 0;
    int64_t begin = -1;  ///< of the last token on the way; -1 if there is no way yet
    int32_t id = 0;
  };

  void visit_tokens_at(std::string_view rest, size_t begin, std::vector<Place>& places) const;
  void append_unknown(std::string_view stretch, std::vector<int32_t>& ids) const;

  UnigramModel model_;
  std::unordered_map<std::string_view, int32_t> ids_;  ///< into the strings of model_.vocab
  std::vector<int32_t> sorted_;                        ///< ids, by their tokens' bytes
  std::array<int32_t, 256> byte_tokens_;               ///< of <0xNN>, -1 where there is none
  double unknown_score_ = 0;
  mutable WordCache cache_;
};

}  // namespace llmpq
