#include "input/pre_tokenizer.hpp"

#include <algorithm>

#include "input/token_bytes.hpp"
#include "input/token_unicode.hpp"

namespace llmpq {
namespace {

/// A stretch [begin, end) of a text: a match of the pattern, or what is between two.
struct Stretch {
  size_t begin;
  size_t end;
  bool match;
};

std::vector<Stretch> stretches(const SplitBy& split, const std::string& text) {
  std::vector<Stretch> out;
  size_t behind = 0;
  for (const Match& match : split.pattern.find_all(text)) {
    if (behind != match.begin) out.push_back({behind, match.begin, split.invert});
    out.push_back({match.begin, match.end, !split.invert});
    behind = match.end;
  }
  if (behind != text.size()) out.push_back({behind, text.size(), split.invert});
  return out;
}

/// Joins each stretch to the one before it where `joins(this one, the one before)` says so.
template <typename Joins>
std::vector<Stretch> joined(const std::vector<Stretch>& in, Joins joins) {
  std::vector<Stretch> out;
  for (size_t i = 0; i < in.size(); ++i) {
    if (i > 0 && joins(in[i], in[i - 1])) {
      out.back().end = in[i].end;
    } else {
      out.push_back(in[i]);
    }
  }
  return out;
}

std::vector<Stretch> merged_with_next(const std::vector<Stretch>& in) {
  std::vector<Stretch> out;
  bool next_is_match = false;
  for (size_t i = in.size(); i-- > 0;) {
    if (!out.empty() && in[i].match && !next_is_match) {
      out.back().begin = in[i].begin;
    } else {
      out.push_back(in[i]);
    }
    next_is_match = in[i].match;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<Stretch> words(const SplitBy& split, const std::string& text) {
  std::vector<Stretch> all = stretches(split, text);
  switch (split.behavior) {
    case Delimiter::kIsolated:
      return all;
    case Delimiter::kRemoved:
      std::erase_if(all, [](const Stretch& s) { return s.match; });
      return all;
    case Delimiter::kContiguous:
      return joined(
          all, [](const Stretch& s, const Stretch& before) { return s.match == before.match; });
    case Delimiter::kMergedWithPrevious:
      return joined(
          all, [](const Stretch& s, const Stretch& before) { return s.match && !before.match; });
    case Delimiter::kMergedWithNext:
      return merged_with_next(all);
  }
  return all;
}

void cut(const SplitBy& split, Piece&& piece, std::vector<Piece>& out) {
  for (const Stretch& word : words(split, piece.text)) {
    if (word.begin == word.end) continue;
    out.push_back({piece.text.substr(word.begin, word.end - word.begin), -1,
                   piece.at_start && word.begin == 0});
  }
}

const SplitBy& gpt2_split() {
  static const SplitBy split{
      Regex::onig(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
                  "built-in pattern"),
      Delimiter::kIsolated};
  return split;
}

void cut(const ByteLevelWords& step, Piece&& piece, std::vector<Piece>& out) {
  if (step.add_prefix_space && !piece.text.starts_with(' ')) piece.text.insert(0, " ");
  const size_t first_new = out.size();
  if (step.use_regex) {
    cut(gpt2_split(), std::move(piece), out);
  } else {
    out.push_back(std::move(piece));
  }
  for (size_t i = first_new; i < out.size(); ++i) out[i].text = bytes_to_characters(out[i].text);
}

std::string spaces_replaced(const std::string& text, const std::string& replacement) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  for (const char c : text) {
    if (c == ' ') {
      out += replacement;
    } else {
      out += c;
    }
  }
  return out;
}

void cut(const MetaspaceWords& step, Piece&& piece, std::vector<Piece>& out) {
  using Prepend = MetaspaceWords::Prepend;
  piece.text = spaces_replaced(piece.text, step.replacement);
  const bool wanted =
      step.prepend == Prepend::kAlways || (step.prepend == Prepend::kFirst && piece.at_start);
  if (wanted && !piece.text.starts_with(step.replacement)) piece.text.insert(0, step.replacement);
  if (!step.split) {
    out.push_back(std::move(piece));
    return;
  }
  // A word begins at each replacement character.
  size_t begin = 0;
  while (begin < piece.text.size()) {
    const size_t next = piece.text.find(step.replacement, begin + 1);
    const size_t end = std::min(next, piece.text.size());
    out.push_back({piece.text.substr(begin, end - begin), -1, piece.at_start && begin == 0});
    begin = end;
  }
}

}  // namespace

SplitBy split_words_and_signs() {
  const std::string word = rust_word_class();
  return {Regex::pcre2("[" + word + "]+|[^" + word + std::string(whitespace_class()) + "]+"),
          Delimiter::kRemoved, true};
}

SplitBy split_at_whitespace() {
  return {Regex::pcre2("[" + std::string(whitespace_class()) + "]"), Delimiter::kRemoved};
}

SplitBy split_digits(bool each) {
  return {Regex::pcre2("[" + numeric_class() + "]"),
          each ? Delimiter::kIsolated : Delimiter::kContiguous};
}

SplitBy split_punctuation(Delimiter behavior) {
  return {Regex::pcre2(punctuation_pattern()), behavior};
}

void pre_tokenize(const std::vector<PreTokenizerStep>& steps, std::vector<Piece>& pieces) {
  for (const PreTokenizerStep& step : steps) {
    std::vector<Piece> out;
    out.reserve(pieces.size());
    for (Piece& piece : pieces) {
      if (piece.token >= 0) {
        out.push_back(std::move(piece));
      } else {
        std::visit([&](const auto& what) { cut(what, std::move(piece), out); }, step);
      }
    }
    std::erase_if(out, [](const Piece& piece) { return piece.token < 0 && piece.text.empty(); });
    pieces = std::move(out);
  }
}

}  // namespace llmpq
