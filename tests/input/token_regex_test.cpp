// The translation of Oniguruma's syntax: what must be translated, and what must be refused. That
// the result splits as Oniguruma does is tested on all of Unicode by tokenizer_test.cpp's fixtures.
#include "input/token_regex.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

using testing::HasSubstr;

std::vector<std::string> matches(const Regex& regex, std::string_view text) {
  std::vector<std::string> found;
  for (const Match& match : regex.find_all(text)) {
    found.emplace_back(text.substr(match.begin, match.end - match.begin));
  }
  return found;
}

using Strings = std::vector<std::string>;

TEST(Regex, MeansWhatOnigurumaMeans) {
  const auto found = [](std::string_view pattern, std::string_view text) {
    return matches(Regex::onig(pattern, "test"), text);
  };
  EXPECT_EQ(found(R"(\s)", "a \xE1\xA0\x8E\xC2\x85"), (Strings{" ", "\xC2\x85"}));  // not U+180E
  EXPECT_EQ(found(R"([^\S]+)", " \xE1\xA0\x8E "), (Strings{" ", " "}));
  EXPECT_EQ(found(R"(\p{L}+)", "a\xF0\xB1\x8D\x90z1"), (Strings{"a\xF0\xB1\x8D\x90z"}));
  EXPECT_EQ(found(R"(\P{L})", "a\xF0\xB1\x8D\x90-"), (Strings{"-"}));  // U+31350 is of Unicode 15
  EXPECT_EQ(found(R"(\p{^L})", "a-"), (Strings{"-"}));
  EXPECT_EQ(found(R"(\h+)", "xbeef z09"), (Strings{"beef", "09"}));
  EXPECT_EQ(found(R"(\v)", "\n\v"), (Strings{"\v"}));
  EXPECT_EQ(found(R"(^.|.$)", "ab\ncd"), (Strings{"a", "b", "c", "d"}));  // lines, as in Ruby
  EXPECT_EQ(found(R"(a{,2}b)", "aaab b"), (Strings{"aab", "b"}));
  EXPECT_EQ(found(R"(x{|{y}|{1,a})", "x{ {y} {1,a}"), (Strings{"x{", "{y}", "{1,a}"}));
  EXPECT_EQ(found(R"(a++b|a?+|[^\s]*+)", "aab ac"), (Strings{"aab", "a", ""}));
  EXPECT_EQ(found(R"(\b\w)", "one \xC3\xA9t-\xC2\xB2"), (Strings{"o", "\xC3\xA9", "\xC2\xB2"}));
  EXPECT_EQ(found(R"((?i:'s))", "'s'S'\xC5\xBF"), (Strings{"'s", "'S", "'\xC5\xBF"}));
  EXPECT_EQ(found(R"((?i)a|b)", "AB"), (Strings{"A", "B"}));
  EXPECT_EQ(found(R"(\x41\x{42}\u0043)", "ABC"), (Strings{"ABC"}));
  EXPECT_EQ(found(R"([^(\s|[.,])]+)", "a,b(c d|e[f"), (Strings{"a", "b", "c", "d", "e[f"}));
  EXPECT_EQ(found(R"([a[-z]]+)", "am-z"), (Strings{"a", "-z"}));
  EXPECT_EQ(found(R"([\w-]+)", "a-b+c"), (Strings{"a-b", "c"}));
  EXPECT_EQ(found(R"(\p{Han}+)", "\xE3\x80\x81\xE4\xBD\xA0"), (Strings{"\xE4\xBD\xA0"}));
}

TEST(Regex, EmptyMatchesDoNotFollowMatches) {
  EXPECT_EQ(matches(Regex::onig("x*", "test"), "axxb"), (Strings{"", "xx", ""}));
  EXPECT_EQ(matches(Regex::onig("", "test"), "\xC3\xA9z").size(), 3u);
  EXPECT_EQ(matches(Regex::literal("", "test"), "ab").size(), 3u);
  EXPECT_EQ(matches(Regex::literal("a.*", "test"), "aaa.*a"), (Strings{"a.*"}));
}

TEST(Regex, RefusesWhatItCannotTranslate) {
  const std::pair<const char*, const char*> refused[] = {
      {R"([^\P{L}])", "a negated class within a class"},
      {R"([\W])", "a negated class within a class"},
      {R"([a[^bc]])", "a negated class within a class"},
      {R"([[:alpha:]])", "a POSIX class"},
      {R"([a-\d])", "a range that ends in a class"},
      {R"([\d-a])", "a range that ends in a class"},
      {R"([[ab]-z])", "a range that ends in a class"},
      {R"([[[[[[[[[[a]]]]]]]]]])", "a class nested so deep"},
      {R"([a-z&&b])", "an intersection"},
      {R"([]a])", "a class that begins with ]"},
      {R"([ab)", "a class without its closing bracket"},
      {R"(a{2}+)", "a repeat of a repeat"},
      {R"(a{2}?)", "a repeat of a repeat"},
      {R"((*UTF)a)", "a verb"},
      {R"(a(?i)b|c)", "this kind of group"},
      {R"((?<name>a))", "this kind of group"},
      {R"((?{code}))", "this kind of group"},
      {R"(\p{Nonsense})", "the property `Nonsense`"},
      {R"(\pL)", "a property without braces"},
      {R"(\p{L)", "a property without its closing brace"},
      {R"((a)\1)", "the escape \\1"},
      {R"(\X)", "the escape \\X"},
      {R"(\xE9)", "a single byte"},
      {R"(\x{}|a)", "a code point without digits"},
      {"\\", "a backslash at the end"},
      {"(a", "not a regular expression"},
      {"*", "not a regular expression"},
  };
  for (const auto& [pattern, complaint] : refused) {
    try {
      Regex::onig(pattern, "tokenizer.json: pre_tokenizer.pattern.Regex");
      ADD_FAILURE() << "accepted " << pattern;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::kModel);
      EXPECT_THAT(error.what(), HasSubstr("tokenizer.json: pre_tokenizer.pattern.Regex: "));
      EXPECT_THAT(error.what(), HasSubstr(complaint)) << pattern;
    }
  }
}

TEST(Regex, GivesUpOnExplosions) {
  const Regex regex = Regex::onig("(?:a+a+)+[bc]", "test");
  EXPECT_THROW(regex.find_all(std::string(64, 'a')), Error);
}

}  // namespace
}  // namespace llmpq
