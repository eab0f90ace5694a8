// BPE against the obvious way of doing it, and its options one by one.
#include "input/bpe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Ids = std::vector<int32_t>;

Ids encode(const Bpe& bpe, std::string_view word) {
  Ids ids;
  bpe.encode(word, ids);
  return ids;
}

/// A vocabulary over a few letters with merges of tokens it already has.
BpeModel random_model(std::mt19937& random) {
  BpeModel model;
  std::vector<std::string> tokens = {"a", "b", "c", "d"};
  for (int i = 0; i < 40; ++i) {
    const std::string left = tokens[random() % tokens.size()];
    const std::string right = tokens[random() % tokens.size()];
    if (left.size() + right.size() > 12) continue;
    model.merges.emplace_back(left, right);
    if (std::find(tokens.begin(), tokens.end(), left + right) == tokens.end()) {
      tokens.push_back(left + right);
    }
  }
  for (size_t i = 0; i < tokens.size(); ++i) model.vocab.emplace_back(tokens[i], i);
  return model;
}

/// The definition: merge the leftmost pair of the lowest rank until there is none.
std::vector<std::string> merge_plainly(const BpeModel& model, const std::string& word) {
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  for (size_t i = 0; i < model.merges.size(); ++i) ranks[model.merges[i]] = i;
  std::vector<std::string> parts;
  for (const char c : word) parts.emplace_back(1, c);
  while (true) {
    size_t best = SIZE_MAX;
    size_t where = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto rank = ranks.find({parts[i], parts[i + 1]});
      if (rank != ranks.end() && rank->second < best) {
        best = rank->second;
        where = i;
      }
    }
    if (best == SIZE_MAX) return parts;
    parts[where] += parts[where + 1];
    parts.erase(parts.begin() + static_cast<ptrdiff_t>(where) + 1);
  }
}

TEST(Bpe, MergesAsTheDefinitionSays) {
  std::mt19937 random(1);
  size_t merged = 0;
  for (int round = 0; round < 60; ++round) {
    const BpeModel model = random_model(random);
    const Bpe bpe(model, "test");
    for (int i = 0; i < 40; ++i) {
      std::string word;
      for (size_t n = random() % 60; n > 0; --n) word += static_cast<char>('a' + random() % 4);
      std::vector<std::string> tokens;
      for (const int32_t id : encode(bpe, word)) tokens.push_back(*bpe.token(id));
      ASSERT_EQ(tokens, merge_plainly(model, word)) << word;
      merged += word.size() - tokens.size();
    }
  }
  EXPECT_GT(merged, 10000u);
}

BpeModel small_model() {
  BpeModel model;
  model.vocab = {{"<unk>", 0}, {"a", 1}, {"b", 2}, {"ab", 3}, {"abab", 4}, {"<0xC3>", 5}};
  model.merges = {{"a", "b"}};
  return model;
}

TEST(Bpe, UnknownCharacters) {
  BpeModel model = small_model();
  // Without unk_token they are dropped, and their neighbours meet.
  EXPECT_THAT(encode(Bpe(model, "test"), "axxb"), ElementsAre(3));
  model.unk_token = "<unk>";
  EXPECT_THAT(encode(Bpe(model, "test"), "axxb"), ElementsAre(1, 0, 0, 2));
  model.fuse_unk = true;
  EXPECT_THAT(encode(Bpe(model, "test"), "axxbx"), ElementsAre(1, 0, 2, 0));
  model.unk_token = "missing";
  const Bpe bpe(model, "test");
  EXPECT_THAT(encode(bpe, "ab"), ElementsAre(3));
  EXPECT_THROW(encode(bpe, "x"), Error);
}

TEST(Bpe, ByteFallbackNeedsAllBytes) {
  BpeModel model = small_model();
  model.unk_token = "<unk>";
  model.byte_fallback = true;
  EXPECT_THAT(encode(Bpe(model, "test"), "\xC3\xA9"), ElementsAre(0));
  model.vocab.emplace_back("<0xA9>", 6);
  EXPECT_THAT(encode(Bpe(model, "test"), "a\xC3\xA9"), ElementsAre(1, 5, 6));
}

TEST(Bpe, IgnoreMergesTakesWholeWords) {
  BpeModel model = small_model();
  EXPECT_THAT(encode(Bpe(model, "test"), "abab"), ElementsAre(3, 3));
  model.ignore_merges = true;
  EXPECT_THAT(encode(Bpe(model, "test"), "abab"), ElementsAre(4));
}

TEST(Bpe, PrefixAndSuffixOfSubwords) {
  BpeModel model;
  model.vocab = {{"a", 0}, {"#b", 1}, {"#b.", 2}, {"ab.", 3}, {"a.", 4}};
  model.merges = {{"a", "#b."}};
  model.continuing_subword_prefix = "#";
  model.end_of_word_suffix = ".";
  const Bpe bpe(model, "test");
  EXPECT_THAT(encode(bpe, "ab"), ElementsAre(3));
  EXPECT_THAT(encode(bpe, "abb"), ElementsAre(0, 1, 2));
  EXPECT_THAT(encode(bpe, "a"), ElementsAre(4));
}

TEST(Bpe, RefusesContradictions) {
  const auto complaint = [](auto change) {
    BpeModel model = small_model();
    change(model);
    try {
      Bpe bpe(model, "file: model");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::kModel);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(complaint([](BpeModel& m) { m.vocab.emplace_back("a", 9); }),
              HasSubstr("`a` stands twice"));
  EXPECT_THAT(complaint([](BpeModel& m) { m.vocab.emplace_back("z", 1); }),
              HasSubstr("`a` and `z` have the same id 1"));
  EXPECT_THAT(complaint([](BpeModel& m) { m.merges.emplace_back("a", "z"); }),
              HasSubstr("merge 1 needs the token `z`"));
  EXPECT_THAT(complaint([](BpeModel& m) { m.merges.emplace_back("b", "a"); }),
              HasSubstr("merge 1 needs the token `ba`"));
}

}  // namespace
}  // namespace llmpq
