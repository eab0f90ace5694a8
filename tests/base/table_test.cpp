#include "base/table.hpp"

#include <gtest/gtest.h>

#include "base/expect_error.hpp"

namespace llmpq {
namespace {

TEST(Table, NumbersToTheRightWideCharactersCounted) {
  Table table({"name", "rows", "note"});
  table.add({"日本", "5", "x"});
  table.add({"abc", "1200"});
  EXPECT_EQ(table.text(),
            "name  rows  note\n"
            "----  ----  ----\n"
            "日本     5  x\n"
            "abc   1200\n");
  EXPECT_ERROR(table.add({"1", "2", "3", "4"}), Exit::kInternal, "4 cells");
}

TEST(Table, ShortenKeepsOneLineAndWholeCharacters) {
  EXPECT_EQ(shorten("short", 10), "short");
  EXPECT_EQ(shorten("two\nlines", 20), "two lines");
  EXPECT_EQ(shorten("0123456789ABC", 10), "0123456...");
  EXPECT_EQ(shorten("0123456789", 10), "0123456789");
  EXPECT_EQ(shorten("日本日本日本", 8), "日本...");
  EXPECT_EQ(shorten("a\xFFz", 8), "a\xEF\xBF\xBDz");
}

}  // namespace
}  // namespace llmpq
