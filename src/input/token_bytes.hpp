// GPT-2's table between bytes and printable characters: the alphabet of byte-level BPE. Printable
// Latin-1 bytes stand for themselves, the other 68 for U+0100 and up, in order.
#pragma once

#include <string>
#include <string_view>

namespace llmpq {

/// Each byte of the text as its character.
std::string bytes_to_characters(std::string_view text);

/// Byte of a character, or -1 if it is none of the 256.
int byte_of_character(char32_t c);

}  // namespace llmpq
