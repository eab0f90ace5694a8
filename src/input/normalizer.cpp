#include "input/normalizer.hpp"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.hpp"
#include "input/token_bytes.hpp"
#include "input/token_unicode.hpp"
#include "input/utf8_repair.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr size_t kLongestDecomposition = 64;  // in characters; Unicode's longest has 18

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

template <typename Visit>
void for_each_char(std::string_view text, Visit visit) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Step c = utf8_step(text.substr(at));
    visit(c.code_point, at);
    at += static_cast<size_t>(c.bytes);
  }
}

/// Full decomposition of one character, appended; not yet in canonical order.
void decompose(char32_t c, bool compatibility, std::vector<int32_t>& out) {
  int32_t buffer[kLongestDecomposition];
  int boundary = 0;
  const int options = UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0);
  const auto count = utf8proc_decompose_char(static_cast<int32_t>(c), buffer, kLongestDecomposition,
                                             static_cast<utf8proc_option_t>(options), &boundary);
  CHECK(count >= 0 && count <= static_cast<ptrdiff_t>(kLongestDecomposition), Exit::kInternal,
        "U+{:04X} has no decomposition", static_cast<uint32_t>(c));
  out.insert(out.end(), buffer, buffer + count);
}

int combining_class(int32_t c) { return utf8proc_get_property(c)->combining_class; }

/// Canonical order: runs of marks sorted by class. utf8proc's own way is quadratic in the run.
void put_marks_in_order(std::vector<int32_t>& chars) {
  auto begin = chars.begin();
  while (begin != chars.end()) {
    begin = std::find_if(begin, chars.end(), [](int32_t c) { return combining_class(c) != 0; });
    const auto end =
        std::find_if(begin, chars.end(), [](int32_t c) { return combining_class(c) == 0; });
    std::stable_sort(begin, end,
                     [](int32_t a, int32_t b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
}

/// Finishes a stretch in which the normalizers know all characters; leaves it empty.
void flush(std::vector<int32_t>& chars, bool compose, std::string& out) {
  put_marks_in_order(chars);
  if (compose && !chars.empty()) {
    const auto count = utf8proc_normalize_utf32(
        chars.data(), static_cast<utf8proc_ssize_t>(chars.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    CHECK(count >= 0, Exit::kInternal, "composing characters failed");
    chars.resize(static_cast<size_t>(count));
  }
  for (const int32_t c : chars) append_utf8(out, static_cast<char32_t>(c));
  chars.clear();
}

void apply(const NormalForm& form, Piece& piece) {
  if (is_ascii(piece.text)) return;
  std::string out;
  std::vector<int32_t> stretch;
  for_each_char(piece.text, [&](char32_t c, size_t) {
    if (unknown_to_normalizers(c)) {  // a wall: nothing moves or combines across it
      flush(stretch, form.compose, out);
      append_utf8(out, c);
    } else {
      decompose(c, form.compatibility, stretch);
    }
  });
  flush(stretch, form.compose, out);
  piece.text = std::move(out);
}

/// What utf8proc 2.8 (Unicode 15) does not know of Rust's char::to_lowercase (Unicode 17), or does
/// in another way; 0 if there is nothing special.
char32_t newer_lowercase(char32_t c) {
  switch (c) {
    case 0x1C89:
    case 0xA7CC:
    case 0xA7CE:
    case 0xA7D2:
    case 0xA7D4:
    case 0xA7DA:
      return c + 1;
    case 0xA7CB:
      return 0x264;
    case 0xA7DC:
      return 0x19B;
    default:
      break;
  }
  if (c >= 0x10D50 && c <= 0x10D65) return c + 0x20;
  if (c >= 0x16EA0 && c <= 0x16EB8) return c + 0x1B;
  return 0;
}

void apply(const Lowercase&, Piece& piece) {
  std::string out;
  for_each_char(piece.text, [&](char32_t c, size_t) {
    if (c == 0x130) {  // I with dot above: the one letter whose lower case is two characters
      out += "i\xCC\x87";
    } else if (const char32_t lower = newer_lowercase(c)) {
      append_utf8(out, lower);
    } else {
      append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<int32_t>(c))));
    }
  });
  piece.text = std::move(out);
}

bool is_accent(char32_t c) {
  if (unknown_to_normalizers(c)) return false;
  const auto category = utf8proc_category(static_cast<int32_t>(c));
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
         category == UTF8PROC_CATEGORY_ME || c == 0x1CF2 || c == 0x1CF3;
}

void apply(const StripAccents&, Piece& piece) {
  std::string out;
  for_each_char(piece.text, [&](char32_t c, size_t at) {
    if (!is_accent(c)) return append_utf8(out, c);
    if (at == 0) piece.at_start = false;
  });
  piece.text = std::move(out);
}

void apply(const StripSpaces& strip, Piece& piece) {
  size_t begin = piece.text.size();
  size_t end = 0;
  for_each_char(piece.text, [&](char32_t c, size_t at) {
    if (is_whitespace(c)) return;
    begin = std::min(begin, at);
    end = at + utf8_length(piece.text[at]);
  });
  if (!strip.left) begin = 0;
  if (!strip.right) end = piece.text.size();
  if (begin > 0) piece.at_start = false;
  piece.text = begin < end ? piece.text.substr(begin, end - begin) : std::string();
}

void apply(const ReplaceText& replace, Piece& piece) {
  const std::vector<Match> matches = replace.pattern.find_all(piece.text);
  if (matches.empty()) return;
  // The new text stands where the *last* character that it replaces stood.
  const Match& first = matches.front();
  const bool several = first.end > first.begin && first.end > utf8_length(piece.text[0]);
  if (first.begin == 0 && first.end > 0 && (several || replace.content.empty())) {
    piece.at_start = false;
  }
  piece.text = replace_all(replace, piece.text);
}

void apply(const PrependText& prepend, Piece& piece) {
  if (!piece.text.empty()) piece.text.insert(0, prepend.text);
}

/// The end of the user-perceived character (grapheme cluster) that begins at `begin`.
size_t cluster_end(std::string_view text, size_t begin) {
  size_t at = begin + utf8_length(text[begin]);
  int32_t state = 0;
  auto before = static_cast<int32_t>(utf8_step(text.substr(begin)).code_point);
  while (at < text.size()) {
    const auto next = static_cast<int32_t>(utf8_step(text.substr(at)).code_point);
    if (utf8proc_grapheme_break_stateful(before, next, &state)) break;
    before = next;
    at += utf8_length(text[at]);
  }
  return at;
}

/// As `tokenizers` does it: a short cluster as a whole, if the table has something that it begins
/// with; else character by character.
void apply(const CharacterMap& map, Piece& piece) {
  constexpr size_t kLongestCluster = 5;  // in bytes
  std::string out;
  for (size_t begin = 0; begin < piece.text.size();) {
    const size_t end = cluster_end(piece.text, begin);
    const std::string_view cluster = std::string_view(piece.text).substr(begin, end - begin);
    const auto whole =
        cluster.size() <= kLongestCluster ? map.trie->replacement(cluster) : std::nullopt;
    if (whole) {
      out += *whole;
    } else {
      for_each_char(cluster, [&](char32_t, size_t at) {
        const std::string_view character = cluster.substr(at, utf8_length(cluster[at]));
        out += map.trie->replacement(character).value_or(character);
      });
    }
    begin = end;
  }
  piece.text = std::move(out);
}

void apply(const BytesToCharacters&, Piece& piece) { piece.text = bytes_to_characters(piece.text); }

}  // namespace

void normalize(const std::vector<NormalizerStep>& steps, Piece& piece) {
  for (const NormalizerStep& step : steps) {
    std::visit([&piece](const auto& what) { apply(what, piece); }, step);
  }
}

std::string replace_all(const ReplaceText& replace, std::string_view text) {
  std::string out;
  size_t behind = 0;
  for (const Match& match : replace.pattern.find_all(text)) {
    out += text.substr(behind, match.begin - behind);
    out += replace.content;
    behind = match.end;
  }
  out += text.substr(behind);
  return out;
}

}  // namespace llmpq
