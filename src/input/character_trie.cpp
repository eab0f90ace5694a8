#include "input/character_trie.hpp"

#include <array>
#include <cstring>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// A unit of the trie: a node's label (its last byte, or a value's mark), whether a value hangs
/// below it, and by how much its children's places differ from its own.
bool has_value(uint32_t unit) { return ((unit >> 8) & 1) == 1; }
uint32_t value_of(uint32_t unit) { return unit & 0x7fffffffu; }
uint32_t label_of(uint32_t unit) { return unit & 0x800000ffu; }
uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

std::array<int8_t, 256> base64_values() {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<int8_t, 256> values{};
  values.fill(-1);
  for (size_t i = 0; i < kDigits.size(); ++i)
    values[static_cast<unsigned char>(kDigits[i])] = static_cast<int8_t>(i);
  return values;
}

std::string decoded_base64(std::string_view text, const std::string& where) {
  static const std::array<int8_t, 256> kValues = base64_values();
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = kValues[static_cast<unsigned char>(c)];
    CHECK(value >= 0, Exit::kModel, "{}: precompiled_charsmap is no base64", where);
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xff);
  }
  return bytes;
}

}  // namespace

CharacterTrie::CharacterTrie(std::string_view bytes, const std::string& where) {
  uint32_t size = 0;
  const bool has_size = bytes.size() >= sizeof(size);
  if (has_size) std::memcpy(&size, bytes.data(), sizeof(size));
  CHECK(has_size && size > 0 && size % 4 == 0 && size <= bytes.size() - sizeof(size), Exit::kModel,
        "{}: precompiled_charsmap: {} bytes do not hold a table of {}", where, bytes.size(), size);
  units_.resize(size / 4);
  std::memcpy(units_.data(), bytes.data() + sizeof(size), size);
  replacements_ = bytes.substr(sizeof(size) + size);
}

std::optional<std::string_view> CharacterTrie::replacement(std::string_view text) const {
  size_t place = offset_of(units_[0]);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    place ^= byte;
    if (byte == 0 || place >= units_.size() || label_of(units_[place]) != byte) return std::nullopt;
    const uint32_t unit = units_[place];
    place ^= offset_of(unit);
    if (!has_value(unit)) continue;
    if (place >= units_.size() || value_of(units_[place]) > replacements_.size())
      return std::nullopt;
    const std::string_view rest = std::string_view(replacements_).substr(value_of(units_[place]));
    return rest.substr(0, rest.find('\0'));
  }
  return std::nullopt;
}

std::shared_ptr<const CharacterTrie> parse_character_map(std::string_view base64,
                                                         const std::string& where) {
  return std::make_shared<const CharacterTrie>(decoded_base64(base64, where), where);
}

}  // namespace llmpq
