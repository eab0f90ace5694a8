// UTF-8: is it valid, and making it so. Used for prompts, outputs and tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llmpq {

/// One step through a text: the code point at the front and the bytes it takes. Where the bytes are
/// broken, `valid` is false and `bytes` is the longest part of a character that stands there (at
/// least 1): what one U+FFFD replaces, as the Unicode standard recommends.
struct Utf8Step {
  char32_t code_point = 0xFFFD;
  int bytes = 1;
  bool valid = false;
};

/// `text` must not be empty. Overlong forms, surrogates and code points past U+10FFFF are broken.
Utf8Step utf8_step(std::string_view text);

/// Appends the UTF-8 form of a code point; surrogates and what lies past U+10FFFF become U+FFFD.
void append_utf8(std::string& text, char32_t code_point);

/// Offset of the first byte that is not valid UTF-8, if any.
std::optional<size_t> first_invalid_byte(std::string_view text);

/// Bytes of the longest valid prefix that ends on a character's border.
size_t valid_utf8_prefix(std::string_view text);

/// The text with broken parts and U+0000 (at which HDF5's strings end) replaced by U+FFFD.
std::string sanitize_utf8(std::string_view text);

/// Columns that the text takes on a terminal; control characters count as none.
int display_width(std::string_view text);

}  // namespace llmpq
