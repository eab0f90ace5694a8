#include "base/hash.hpp"

#include <gtest/gtest.h>

#include <array>

namespace llmpq {
namespace {

TEST(Hash, MatchesThePublishedValuesOfXxh64) {
  EXPECT_EQ(hash_of(""), 0xEF46DB3751D8E999u);
  EXPECT_EQ(hash_of("abc"), 0x44BC2CF5AD770999u);
}

TEST(Hash, PiecesGiveTheHashOfTheWhole) {
  Hasher pieces;
  pieces.add("he");
  pieces.add("llo");
  EXPECT_EQ(pieces.value(), hash_of("hello"));
  const std::array<int32_t, 2> numbers = {1, 2};
  Hasher one, two;
  one.add(std::span<const int32_t>(numbers));
  two.add(int32_t{1});
  two.add(int32_t{2});
  EXPECT_EQ(one.value(), two.value());
  EXPECT_NE(hash_of("hello", 1), hash_of("hello"));
}

}  // namespace
}  // namespace llmpq
