// Bytes that come one by one, made into valid UTF-8: what decoding of byte-level tokens needs.
#pragma once

#include <cstddef>
#include <string>

namespace llmpq {

/// The length in bytes (1 to 4) of the character that a lead byte of valid UTF-8 begins.
inline size_t utf8_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// Turns a stream of bytes into valid UTF-8, as the Unicode standard recommends: every maximal part
/// of a broken sequence becomes one U+FFFD. A character whose bytes have not all come is held back.
class Utf8Repair {
 public:
  /// Appends to `out` the text that became certain.
  void push(char byte, std::string& out);
  /// Appends U+FFFD if the stream ends within a character.
  void finish(std::string& out);

 private:
  std::string pending_;  ///< the beginning of one character, valid so far
};

}  // namespace llmpq
