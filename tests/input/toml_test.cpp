#include "input/toml.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// The value of the only entry, `x = ...`.
TomlValue value_of(const std::string& text) {
  const auto entries = parse_toml("x = " + text, "t");
  EXPECT_EQ(entries.size(), 1u) << text;
  EXPECT_EQ(entries.at(0).key, "x");
  return entries.at(0).value;
}
template <typename T>
T get(const std::string& text) {
  const TomlValue value = value_of(text);
  EXPECT_TRUE(std::holds_alternative<T>(value.data)) << text << " is " << type_name(value);
  return std::get<T>(value.data);
}
std::string error_of(const std::string& text) {
  try {
    parse_toml(text, "t");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kUsage);
    return error.what();
  }
  return "";
}

TEST(Toml, Integers) {
  const std::pair<std::string, int64_t> cases[] = {
      {"0", 0},
      {"-0", 0},
      {"+7", 7},
      {"1_000_000", 1000000},
      {"0xDEAD_beef", 0xDEADBEEF},
      {"0o755", 0755},
      {"0b1101", 13},
      {"9223372036854775807", std::numeric_limits<int64_t>::max()},
      {"-9223372036854775808", std::numeric_limits<int64_t>::min()}};
  for (const auto& [text, want] : cases) EXPECT_EQ(get<int64_t>(text), want) << text;
}

TEST(Toml, Floats) {
  const std::pair<std::string, double> cases[] = {
      {"1.5", 1.5},     {"-0.01", -0.01},   {"5e+22", 5e22},     {"1e06", 1e6},
      {"-2E-2", -2e-2}, {"6.6e-3", 6.6e-3}, {"1_000.5", 1000.5}, {"+0.0", 0}};
  for (const auto& [text, want] : cases) EXPECT_EQ(get<double>(text), want) << text;
  EXPECT_EQ(get<double>("-inf"), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(get<double>("+nan")));
}

TEST(Toml, BooleansAndArrays) {
  EXPECT_TRUE(get<bool>("true"));
  EXPECT_FALSE(get<bool>("false # a comment"));
  EXPECT_EQ(get<std::vector<TomlValue>>("[]").size(), 0u);
  const auto items =
      get<std::vector<TomlValue>>("[ # first\n 1,\r\n\t'two', # second\n\n [3.0],\n]");
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(std::get<int64_t>(items[0].data), 1);
  EXPECT_EQ(std::get<std::string>(items[1].data), "two");
  EXPECT_EQ(type_name(items[2]), "an array");
}

TEST(Toml, Strings) {
  EXPECT_EQ(get<std::string>(R"("a\tb\\\"\u00e9\U0001F600\r\n\b\f")"),
            "a\tb\\\"\xC3\xA9\xF0\x9F\x98\x80\r\n\b\f");
  EXPECT_EQ(get<std::string>(R"('C:\no "escape"')"), R"(C:\no "escape")");
  EXPECT_EQ(get<std::string>("\"\""), "");
  EXPECT_EQ(get<std::string>("''"), "");
  EXPECT_EQ(get<std::string>("\"# no comment\""), "# no comment");
}

TEST(Toml, StringsOfSeveralLines) {
  EXPECT_EQ(get<std::string>("\"\"\"\r\none\ntwo\"\"\""), "one\ntwo");
  EXPECT_EQ(get<std::string>("\"\"\"one \\  \n\n   two\"\"\""), "one two");
  EXPECT_EQ(get<std::string>("\"\"\"a \"quote\"\"\"\"\""), "a \"quote\"\"");
  EXPECT_EQ(get<std::string>("'''\nno \\escape''''"), "no \\escape'");
  EXPECT_EQ(get<std::string>("\"\"\"\"\"\""), "");
}

TEST(Toml, DocumentsWithKeysCommentsAndBlankLines) {
  const auto entries =
      parse_toml("\xEF\xBB\xBF# head\n\n  a-b_1=1#c\r\n\"quoted \\u0041\" = 2\n'l' = 3", "t");
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].key, "a-b_1");
  EXPECT_EQ(entries[0].line, 3);
  EXPECT_EQ(entries[1].key, "quoted A");
  EXPECT_EQ(entries[2].key, "l");
  EXPECT_EQ(entries[2].line, 5);
  EXPECT_TRUE(parse_toml("", "t").empty());
  EXPECT_TRUE(parse_toml(" # only a comment", "t").empty());
}

TEST(Toml, WrongNumbersAreRefused) {
  for (const char* text :
       {"01",   "1__0", "_1",  "1_",         "0x",       "0x_1",  "0x-1",  "-0x1",
        "+0b1", "1.",   ".5",  "1e",         "1e+",      "1._5",  "1.5.5", "9223372036854775808",
        "--1",  "+-1",  "Inf", "1979-05-27", "07:32:00", "1e400", "tru",   "",
        "abc",  "0b2",  "1 2"})
    EXPECT_THAT(error_of("x = " + std::string(text)), StartsWith("t, line 1, column")) << text;
}

TEST(Toml, BrokenDocumentsTellWhere) {
  EXPECT_EQ(error_of("a = 1\nb 2"), "t, line 2, column 3: want \"=\" behind the key \"b\"");
  EXPECT_EQ(error_of("a = 1 b = 2"),
            "t, line 1, column 7: want the end of the line behind the value of \"a\"");
  EXPECT_EQ(error_of("a = 1\n\n a = 2"), "t, line 3, column 2: the key \"a\" is there twice");
  EXPECT_THAT(error_of("[table]"), HasSubstr("a table, which no option takes"));
  EXPECT_THAT(error_of("a = {b = 1}"), HasSubstr("column 5: a table, which no option takes"));
  EXPECT_THAT(error_of("[(a]"), HasSubstr("a table"));
  EXPECT_THAT(error_of("a.b = 1"), HasSubstr("want \"=\""));
  EXPECT_THAT(error_of("= 1"), HasSubstr("want a key"));
  EXPECT_THAT(error_of("\xD2\x81 = 1"), HasSubstr("column 1: want a key"));
  EXPECT_THAT(error_of("a = \"\n\""), HasSubstr("without its closing \""));
  EXPECT_THAT(error_of("a = '''x"), HasSubstr("without its closing '''"));
  EXPECT_THAT(error_of("a = \"\\q\""), HasSubstr("an unknown escape"));
  EXPECT_THAT(error_of("a = \"\\ud800\""), HasSubstr("U+D800 is no character"));
  EXPECT_THAT(error_of("a = \"\\u12\""), HasSubstr("wants 4 hexadecimal digits"));
  EXPECT_THAT(error_of("a = [1, 2"), HasSubstr("want \",\" or \"]\""));
  EXPECT_THAT(error_of("a = [,]"), HasSubstr("is no value"));
  EXPECT_THAT(error_of("a = '\xFF'"), HasSubstr("column 6: a byte that is not UTF-8"));
  EXPECT_THAT(error_of(std::string("a = '\0'", 7)), HasSubstr("without its closing"));
  EXPECT_THAT(error_of("# \x01"), HasSubstr("a control character in a comment"));
  EXPECT_THAT(error_of("a = 1\rb = 2"), HasSubstr("want the end of the line"));
  EXPECT_THAT(error_of("a = " + std::string(100000, '[')), HasSubstr("more than 16 deep"));
}

}  // namespace
}  // namespace llmpq
