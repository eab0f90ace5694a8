#include "input/token_bytes.hpp"

#include <array>

#include "base/utf8.hpp"

namespace llmpq {
namespace {

constexpr char32_t kBeyondLatin1 = 0x100;
constexpr size_t kOtherBytes = 68;  // those that are not printable in Latin-1

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

struct Table {
  std::array<std::string, 256> characters;
  std::array<int, kOtherBytes> others{};
};

Table make_table() {
  Table table;
  char32_t next = kBeyondLatin1;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (!stands_for_itself(byte)) table.others[next - kBeyondLatin1] = static_cast<int>(byte);
    append_utf8(table.characters[byte], stands_for_itself(byte) ? byte : next++);
  }
  return table;
}

const Table& table() {
  static const Table made = make_table();
  return made;
}

}  // namespace

std::string bytes_to_characters(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) out += table().characters[static_cast<unsigned char>(c)];
  return out;
}

int byte_of_character(char32_t c) {
  if (c < kBeyondLatin1) return stands_for_itself(c) ? static_cast<int>(c) : -1;
  if (c < kBeyondLatin1 + kOtherBytes) return table().others[c - kBeyondLatin1];
  return -1;
}

}  // namespace llmpq
