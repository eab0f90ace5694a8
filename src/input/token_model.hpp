// What turns a word into ids: the model of a tokenizer.json. Two kinds: byte pair encoding (bpe)
// and unigram.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmpq {

/// Immutable as far as it can be seen; several threads may use it.
class TokenModel {
 public:
  virtual ~TokenModel() = default;

  /// Appends the ids of one word (valid UTF-8). Throws Error(kModel) if a character is unknown and
  /// the model has no token for that.
  virtual void encode(std::string_view word, std::vector<int32_t>& ids) const = 0;

  virtual std::optional<int32_t> id_of(std::string_view token) const = 0;
  /// The token of an id, or null.
  virtual const std::string* token(int32_t id) const = 0;
  virtual size_t size() const = 0;
  virtual int32_t largest_id() const = 0;  ///< -1 for an empty vocabulary
};

}  // namespace llmpq
