#include "input/unigram.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "base/utf8.hpp"
#include "input/utf8_repair.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr size_t kLongestWord = size_t{1} << 28;
constexpr double kUnknownPenalty = 10;  // below the least likely token, as SentencePiece has it

int byte_at(const std::string& token, size_t at) { return static_cast<unsigned char>(token[at]); }

}  // namespace

Unigram::Unigram(UnigramModel model, const std::string& where) : model_(std::move(model)) {
  ids_.reserve(model_.vocab.size());
  for (size_t id = 0; id < model_.vocab.size(); ++id) {
    const auto& [token, score] = model_.vocab[id];
    CHECK(ids_.emplace(token, static_cast<int32_t>(id)).second, Exit::kModel,
          "{}: the token `{}` stands twice in vocab", where, token);
    unknown_score_ = std::min(unknown_score_, score);
  }
  unknown_score_ -= kUnknownPenalty;
  sorted_.resize(model_.vocab.size());
  std::iota(sorted_.begin(), sorted_.end(), 0);
  std::ranges::sort(sorted_, {}, [this](int32_t id) -> const std::string& { return *token(id); });
  for (size_t byte = 0; byte < byte_tokens_.size(); ++byte)
    byte_tokens_[byte] = id_of(fmt::format("<0x{:02X}>", byte)).value_or(-1);
}

/// Extends the ways to `begin` by every token that `rest` begins with, and by its first character
/// as an unknown one where that is no token.
void Unigram::visit_tokens_at(std::string_view rest, size_t begin,
                              std::vector<Place>& places) const {
  const double score_here = places[begin].score;
  const size_t first_character = utf8_length(rest[0]);
  bool has_character = false;
  const auto extend = [&](size_t length, double score, int32_t id) {
    Place& place = places[begin + length];
    if (place.begin >= 0 && score_here + score <= place.score) return;
    place = {score_here + score, static_cast<int64_t>(begin), id};
  };
  // Tokens that agree with `rest` so far are a range of the sorted ones; each byte narrows it.
  auto low = sorted_.begin(), high = sorted_.end();
  for (size_t depth = 0; depth < rest.size() && low != high; ++depth) {
    const int wanted = static_cast<unsigned char>(rest[depth]);
    low = std::partition_point(low, high, [&](int32_t id) {
      const std::string& other = *token(id);
      return other.size() <= depth || byte_at(other, depth) < wanted;
    });
    high = std::partition_point(low, high,
                                [&](int32_t id) { return byte_at(*token(id), depth) <= wanted; });
    if (low == high || token(*low)->size() != depth + 1) continue;
    extend(depth + 1, model_.vocab[static_cast<size_t>(*low)].second, *low);
    has_character = has_character || depth + 1 == first_character;
  }
  if (has_character) return;
  CHECK(model_.unk_id, Exit::kModel, "no token for the character `{}`, and no unk_id",
        rest.substr(0, first_character));
  extend(first_character, unknown_score_, *model_.unk_id);
}

/// Unknown characters in a row are one: their bytes if all of them have tokens, else one token.
void Unigram::append_unknown(std::string_view stretch, std::vector<int32_t>& ids) const {
  if (const auto id = id_of(stretch)) return ids.push_back(*id);
  const auto token_of = [this](char c) { return byte_tokens_[static_cast<unsigned char>(c)]; };
  const bool bytes = model_.byte_fallback &&
                     std::ranges::all_of(stretch, [&](char c) { return token_of(c) >= 0; });
  if (!bytes) return ids.push_back(*model_.unk_id);
  for (const char c : stretch) ids.push_back(token_of(c));
}

void Unigram::encode(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.empty() || cache_.append_known(word, ids)) return;
  CHECK(word.size() <= kLongestWord, Exit::kPrompts, "a word of {} bytes; at most {} are supported",
        word.size(), kLongestWord);
  std::vector<Place> places(word.size() + 1);
  for (size_t at = 0; at < word.size(); at += utf8_length(word[at]))
    visit_tokens_at(word.substr(at), at, places);

  std::vector<std::pair<std::string_view, int32_t>> path;  // from the end to the beginning
  for (size_t end = word.size(); end > 0;) {
    const Place& place = places[end];
    const auto begin = static_cast<size_t>(place.begin);
    const bool unknown = model_.unk_id == place.id;
    if (unknown && !path.empty() && path.back().second == place.id)
      path.back().first = {word.data() + begin, path.back().first.size() + (end - begin)};
    else
      path.emplace_back(word.substr(begin, end - begin), place.id);
    end = begin;
  }
  std::vector<int32_t> found;
  for (auto step = path.rbegin(); step != path.rend(); ++step) {
    if (model_.unk_id == step->second)
      append_unknown(step->first, found);
    else
      found.push_back(step->second);
  }
  ids.insert(ids.end(), found.begin(), found.end());
  cache_.remember(word, std::move(found));
}

std::optional<int32_t> Unigram::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* Unigram::token(int32_t id) const {
  const bool known = id >= 0 && static_cast<size_t>(id) < model_.vocab.size();
  return known ? &model_.vocab[static_cast<size_t>(id)].first : nullptr;
}

}  // namespace llmpq
