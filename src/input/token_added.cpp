#include "input/token_added.hpp"

#include <algorithm>

#include "base/utf8.hpp"
#include "input/token_unicode.hpp"
#include "input/utf8_repair.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// Offset of the last character of a non-empty text.
size_t last_char(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

bool is_word(std::string_view character) {
  static const Regex word = Regex::pcre2("^[" + rust_word_class() + "]");
  return !word.find_all(character).empty();
}

bool ends_with_word(std::string_view text) {
  return !text.empty() && is_word(text.substr(last_char(text)));
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word(text.substr(0, utf8_length(text[0])));
}

/// Where the whitespace at the end of a text begins, not looking back beyond `from`.
size_t spaces_at_end(std::string_view text, size_t from) {
  size_t begin = text.size();
  while (begin > from) {
    const size_t at = last_char(text.substr(0, begin));
    if (!is_whitespace(utf8_step(text.substr(at)).code_point)) break;
    begin = at;
  }
  return begin;
}

/// Length of the whitespace at the beginning of a text.
size_t spaces_at_start(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Step c = utf8_step(text.substr(at));
    if (!is_whitespace(c.code_point)) break;
    at += static_cast<size_t>(c.bytes);
  }
  return at;
}

}  // namespace

bool StringFinder::add(std::string_view string, size_t value) {
  if (string.empty()) return false;
  int32_t node = 0;
  for (const char c : string) {
    const uint64_t edge = static_cast<uint64_t>(node) * 256 + static_cast<unsigned char>(c);
    const auto [place, added] = edges_.emplace(edge, static_cast<int32_t>(values_.size()));
    if (added) values_.push_back(kNone);
    node = place->second;
  }
  if (values_[static_cast<size_t>(node)] != kNone) return false;
  values_[static_cast<size_t>(node)] = static_cast<int64_t>(value);
  first_bytes_[static_cast<unsigned char>(string[0])] = true;
  return true;
}

int32_t StringFinder::child(int32_t node, char c) const {
  const auto edge = edges_.find(static_cast<uint64_t>(node) * 256 + static_cast<unsigned char>(c));
  return edge == edges_.end() ? kNone : edge->second;
}

std::vector<StringFinder::Found> StringFinder::find_all(std::string_view text) const {
  std::vector<Found> found;
  size_t at = 0;
  while (at < text.size()) {
    Found longest{at, at, 0};
    int32_t node = first_bytes_[static_cast<unsigned char>(text[at])] ? 0 : kNone;
    for (size_t end = at; node != kNone && end < text.size();) {
      node = child(node, text[end++]);
      if (node != kNone && values_[static_cast<size_t>(node)] != kNone) {
        longest = {at, end, static_cast<size_t>(values_[static_cast<size_t>(node)])};
      }
    }
    if (longest.end > at) found.push_back(longest);
    at = std::max(longest.end, at + 1);
  }
  return found;
}

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens,
                         const std::vector<NormalizerStep>& normalizer, const TokenModel& model,
                         const std::string& where) {
  auto next_id = static_cast<int32_t>(model.size());  // for tokens the model does not have
  for (const AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    const auto known = by_content_.find(token.content);
    const auto in_model = model.id_of(token.content);
    const int32_t id = known != by_content_.end() ? known->second
                       : in_model                 ? *in_model
                                                  : next_id++;
    CHECK(id == token.id, Exit::kModel,
          "{}: the token `{}` has id {} there, but its place in the vocabulary is {}", where,
          token.content, token.id, id);
    CHECK(in_model || !model.token(id), Exit::kModel,
          "{}: the token `{}` has id {}, which is `{}` in the vocabulary", where, token.content, id,
          *model.token(id));
    by_content_[token.content] = id;
    by_id_[id] = token;
    if (token.special) special_contents_.insert(token.content);
  }
  for (const auto& [id, token] : by_id_) {
    Piece form{token.content};
    if (token.normalized) normalize(normalizer, form);
    CHECK((token.normalized ? normalized_ : raw_).add(form.text, static_cast<size_t>(id)),
          Exit::kModel, "{}: the token `{}` becomes `{}` when normalized, which is empty or taken",
          where, token.content, form.text);
    forms_[id] = form.text;
  }
}

std::vector<Piece> AddedTokens::split(std::string_view text,
                                      const std::vector<NormalizerStep>& normalizer) const {
  std::vector<Piece> raw;
  cut(raw_, {std::string(text), -1, true}, raw);
  std::vector<Piece> out;
  for (Piece& piece : raw) {
    if (piece.token >= 0) {
      out.push_back(std::move(piece));
    } else {
      normalize(normalizer, piece);
      cut(normalized_, std::move(piece), out);
    }
  }
  return out;
}

/// Tokens that are not taken (single_word) hide others behind them, and tokens that strip may
/// overlap: as in `tokenizers`.
void AddedTokens::cut(const StringFinder& finder, Piece&& piece, std::vector<Piece>& out) const {
  const std::string_view text = piece.text;
  const auto put_text = [&](size_t begin, size_t end) {
    if (begin >= end) return;
    out.push_back({std::string(text.substr(begin, end - begin)), -1, piece.at_start && begin == 0});
  };
  size_t behind = 0;
  size_t spaces_until = 0;  // the end of the spaces that an rstrip met last
  for (const auto& found : finder.find_all(text)) {
    const AddedToken& token = by_id_.at(static_cast<int32_t>(found.value));
    size_t begin = found.begin;
    size_t end = found.end;
    if (token.single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) {
      continue;
    }
    if (token.lstrip) begin = std::max(spaces_at_end(text.substr(0, begin), behind), behind);
    if (token.rstrip) {
      if (end >= spaces_until) spaces_until = end + spaces_at_start(text.substr(end));
      end = spaces_until;
    }
    put_text(behind, begin);
    if (begin < end) out.push_back({"", token.id});
    behind = end;
  }
  put_text(behind, text.size());
}

const AddedToken* AddedTokens::find(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  return found == by_content_.end() ? nullptr : find(found->second);
}

bool AddedTokens::is_special_content(const std::string& content) const {
  return special_contents_.contains(content);
}

int32_t AddedTokens::largest_id() const {
  int32_t largest = -1;
  for (const auto& [id, token] : by_id_) largest = std::max(largest, id);
  return largest;
}

}  // namespace llmpq
