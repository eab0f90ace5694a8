#include "base/utf8.hpp"

#include <gtest/gtest.h>

namespace llmpq {
namespace {

const std::string kReplacement = "\xEF\xBF\xBD";

TEST(Utf8, EveryCodePointSurvivesAndSurrogatesDoNot) {
  for (char32_t c = 1; c <= 0x10FFFF; ++c) {
    const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
    std::string text;
    append_utf8(text, c);
    const Utf8Step step = utf8_step(text);
    ASSERT_TRUE(step.valid) << static_cast<uint32_t>(c);
    ASSERT_EQ(step.code_point, surrogate ? char32_t{0xFFFD} : c);
    ASSERT_EQ(static_cast<size_t>(step.bytes), text.size()) << static_cast<uint32_t>(c);
  }
  std::string text;
  append_utf8(text, 0x110000);
  EXPECT_EQ(text, kReplacement);
}

TEST(Utf8, BrokenPartsBecomeOneReplacementEach) {
  // Wanted values: what Python's bytes.decode(errors="replace") gives.
  const std::pair<std::string, int> cases[] = {
      {"\x80", 1},              // a lone tail
      {"\xC0\xAF", 2},          // overlong
      {"\xE0\x80\xAF", 3},      // overlong in three
      {"\xED\xA0\x80", 3},      // a surrogate
      {"\xF4\x90\x80\x80", 4},  // past U+10FFFF
      {"\xF5\x80", 2},          // no such lead
      {"\xE2\x82", 1},          // cut after two of three
      {"\xF0\x9F\x98", 1},      // cut after three of four
      {"\xF0\x80\x80", 3},      // overlong and cut
  };
  for (const auto& [broken, replacements] : cases) {
    std::string want = "a";
    for (int i = 0; i < replacements; ++i) want += kReplacement;
    EXPECT_EQ(sanitize_utf8("a" + broken + "b"), want + "b");
    EXPECT_EQ(sanitize_utf8("a" + broken), want);
    EXPECT_EQ(first_invalid_byte("a" + broken), std::optional<size_t>(1));
    EXPECT_EQ(valid_utf8_prefix("a" + broken), 1u);
  }
}

TEST(Utf8, ZeroIsValidButReplaced) {
  const std::string text("a\0b", 3);
  EXPECT_EQ(first_invalid_byte(text), std::nullopt);
  EXPECT_EQ(sanitize_utf8(text), "a" + kReplacement + "b");
}

TEST(Utf8, WidthCountsColumns) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("żółć"), 4);
  EXPECT_EQ(display_width("日本"), 4);
  EXPECT_EQ(display_width("e\xCC\x81"), 1);  // a combining accent
}

}  // namespace
}  // namespace llmpq
