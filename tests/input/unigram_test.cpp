#include "input/unigram.hpp"

#include <gtest/gtest.h>

#include "input/character_trie.hpp"
#include "input/model_files.hpp"

namespace llmpq {
namespace {

using test::expect_error;
using Ids = std::vector<int32_t>;

Ids ids_of(const Unigram& model, std::string_view word) {
  Ids ids;
  model.encode(word, ids);
  return ids;
}

UnigramModel letters() {
  return {{{"<unk>", 0}, {"a", -1}, {"b", -2}, {"ab", -2.5}, {"ba", -4}, {"aba", -9}}, 0};
}

TEST(Unigram, TakesTheLikeliestPath) {
  const Unigram model(letters(), "w");
  EXPECT_EQ(ids_of(model, "ab"), (Ids{3}));
  EXPECT_EQ(ids_of(model, "aba"), (Ids{3, 1}));  // -3.5; a ba is -5, aba -9
  EXPECT_EQ(ids_of(model, "bab"), (Ids{2, 3}));  // -4.5; ba b is -6
  EXPECT_EQ(ids_of(model, "aba"), (Ids{3, 1})) << "from the cache";
  EXPECT_EQ(ids_of(model, ""), Ids{});
}

TEST(Unigram, UnknownCharactersInARowAreOneToken) {
  const Unigram model(letters(), "w");
  EXPECT_EQ(ids_of(model, "xyéab"), (Ids{0, 3}));
  EXPECT_EQ(ids_of(model, "axa"), (Ids{1, 0, 1}));
}

TEST(Unigram, BytesStandForUnknownCharactersIfAllOfThemHaveTokens) {
  UnigramModel with_bytes = letters();
  with_bytes.byte_fallback = true;
  for (const char* byte : {"<0xC3>", "<0xA9>"}) with_bytes.vocab.emplace_back(byte, -20);
  const Unigram model(with_bytes, "w");
  EXPECT_EQ(ids_of(model, "aé"), (Ids{1, 6, 7}));
  EXPECT_EQ(ids_of(model, "éx"), (Ids{0}));
}

TEST(Unigram, RefusesWhatItCannotUse) {
  expect_error(
      [] {
        Unigram({{{"a", 0}, {"a", 1}}, {}}, "w");
      },
      Exit::kModel, "w: the token `a` stands twice");
  const Unigram model({{{"a", 0}}, {}}, "w");
  expect_error([&] { ids_of(model, "b"); }, Exit::kModel, "no token for the character `b`");
}

TEST(CharacterTrie, RefusesDamagedTables) {
  const auto refused = [](const char* base64, const char* sentence) {
    expect_error([&] { parse_character_map(base64, "w"); }, Exit::kModel, "w", sentence);
  };
  refused("?", "no base64");
  refused("", "do not hold a table");
  refused("BAAAAA==", "do not hold a table");  // 4 bytes of units wanted, none there
  refused("AwAAAAAA", "do not hold a table");  // no whole unit
  // One unit whose children lie far outside: nothing is found, nothing is read.
  EXPECT_FALSE(parse_character_map("BAAAAAD//38=", "w")->replacement("abc"));
}

}  // namespace
}  // namespace llmpq
