// SentencePiece's precompiled table of character replacements: a double-array trie (Aoe 1989, as in
// the library darts-clone) over the texts to be replaced, and what they become. Used by the
// normalizer Precompiled.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmpq {

class CharacterTrie {
 public:
  /// `bytes`: the trie's size in bytes (32 bits), the trie's units (32 bits each), then the
  /// replacements, each ended by a zero; all little endian. Error(kModel), its sentence beginning
  /// with `where`, if the sizes do not fit.
  CharacterTrie(std::string_view bytes, const std::string& where);

  /// What replaces a text that begins with an entry of the table: the shortest such entry's.
  std::optional<std::string_view> replacement(std::string_view text) const;

 private:
  std::vector<uint32_t> units_;
  std::string replacements_;
};

/// The table as it stands in a tokenizer.json, in base64.
std::shared_ptr<const CharacterTrie> parse_character_map(std::string_view base64,
                                                         const std::string& where);

}  // namespace llmpq
