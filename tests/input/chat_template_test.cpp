// Chat templates against transformers: make_chat_fixtures.py stored what that renders.
#include "input/chat_template.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/temp_folder.hpp"
#include "input/model_files.hpp"

namespace llmpq {
namespace {

using nlohmann::ordered_json;
using test::expect_error;

constexpr std::time_t kNow = 1'700'000'000;  // 2023-11-14 in UTC

std::string render(std::string_view source, const std::string& row = R"([{"role": "user"}])") {
  return ChatTemplate::parse(source, "", "t").render(row, kNow);
}

TEST(ChatTemplate, RendersAsTransformers) {
  std::ifstream file(LLMPQ_TEST_DATA "/input/fixtures/chat.jsonl");
  std::optional<ChatTemplate> chat;
  std::string name;
  int texts = 0, refused = 0;
  for (std::string line; std::getline(file, line);) {
    const auto one = ordered_json::parse(line);
    if (one.contains("template")) {
      name = one["name"].get<std::string>();
      chat = ChatTemplate::parse(one["template"].get<std::string>(), one["tokens"].dump(), name);
      continue;
    }
    const std::string row = one["row"].dump();
    SCOPED_TRACE(name + ": " + row);
    if (one.contains("text")) {
      EXPECT_EQ(chat->render(row, kNow), one["text"].get<std::string>());
      ++texts;
    } else {
      expect_error([&] { chat->render(row, kNow); }, Exit::kPrompts, "the chat template");
      ++refused;
    }
  }
  EXPECT_GT(texts, 90);
  EXPECT_GT(refused, 10);
}

TEST(ChatTemplate, TellsTheTime) { EXPECT_EQ(render("{{ strftime_now('%Y') }}"), "2023"); }

TEST(ChatTemplate, RefusesWhatItDoesNotKnow) {
  const auto refused = [](const char* source, const auto&... parts) {
    expect_error([&] { ChatTemplate::parse(source, "", "m/t.jinja"); }, Exit::kModel,
                 "m/t.jinja: line ", parts...);
  };
  refused("a\n{% include 'b' %}", "line 2: the block `include` is not supported");
  refused("{{ x | wordcount }}", "the filter `wordcount` is not supported; supported are abs,");
  refused("{{ x is prime }}", "the test `prime` is not supported");
  refused("{% if x %}", "`endif` is missing");
  refused("{% if x %}{% endfor %}", "the block `endfor` is not supported");
  refused("{{ 'a }}", "a string does not end");
  refused("{{ x", "a tag does not end");
  refused("{# x", "a comment {# does not end");
  refused("{{ ) }}", "a `)` without its beginning");
  refused("{{ a b }}", "want }}, found `b`");
  refused("{{ ? }}", "`?` is no part of an expression");
  refused("{{ 1 < x < 2 }}", "chained comparisons");
  refused("{% break %}", "`break` outside a loop");
  expect_error([] { ChatTemplate::parse("a\xBD", "", "t"); }, Exit::kModel,
               "t: byte 1 of the chat template is not UTF-8");
  refused(("{{ " + std::string(5000, '(') + "1" + std::string(5000, ')') + " }}").c_str(),
          "nests too deep");
}

TEST(ChatTemplate, StopsWhereValuesAreNotWhatTheyShouldBe) {
  const auto stops = [](const char* source, const auto&... parts) {
    expect_error([&] { render(source); }, Exit::kPrompts, "the chat template", parts...);
  };
  stops("{{ raise_exception('Not so.') }}", "refuses the messages: Not so.");
  stops("\n{{ a.b }}", "line 2: `a` is undefined: it has no `b`");
  stops("{{ messages[0].role.nothing() }}", "there is no function `nothing`");
  stops("{{ 'a' + 1 }}", "text + a number");
  stops("{{ 1 / 0 }}", "division by zero");
  stops("{{ 999999999999999999 * 999999999999999999 }}", "is too large");
  stops("{% for i in range(2000000) %}{% endfor %}", "a range is too long");
  stops("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "macros call each other");
  stops("{% for i in range(1000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}",
        "does not come to an end");
  stops("{% set l = range(100000) %}{% for i in range(1000) %}{% if l %}{% endif %}{% endfor %}",
        "does not come to an end");
  stops("{% set x.y = 1 %}", "`x` is no namespace");
}

TEST(ChatTemplate, KnowsRowsThatAreChats) {
  for (const char* chat : {R"([{"role": "user", "content": "a"}])",
                           R"({"messages": [{"role": "user", "content": "a"}], "tools": []})"})
    EXPECT_TRUE(is_chat(chat)) << chat;
  for (const char* text : {"", "Once upon a time", "[1, 2]", "{", "{}", R"({"messages": []})"})
    EXPECT_FALSE(is_chat(text)) << text;
}

TEST(ChatTemplate, RefusesRowsThatAreNoChat) {
  const auto refused = [](const char* row, const auto&... parts) {
    expect_error([&] { render("x", row); }, Exit::kPrompts, "the row's chat", parts...);
  };
  refused("Hello", "is not valid JSON");
  refused("{}", "want a list of messages");
  refused("[]", "want a list of messages");
  refused("[1]", "want objects with `role` and `content`", "found 1");
  refused(R"({"messages": [{"role": "user"}], "tool": []})", "`tool` is none of messages, tools");
  refused(std::string(1000, '[').c_str(), "nests deeper");
}

TEST(ChatTemplate, IsFoundInTheModelsFolder) {
  const TempFolder folder;
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder.path() / name) << text;
  };
  const auto load = [&] { return ChatTemplate::load(folder.path()); };
  const std::string row = R"([{"role": "user", "content": "x"}])";
  expect_error(load, Exit::kModel, "no chat_template");
  write("tokenizer_config.json", R"({"eos_token": {"content": "</s>"}, "chat_template": [
      {"name": "tool_use", "template": "no"}, {"name": "default", "template": "1{{ eos_token }}"}]})");
  EXPECT_EQ(load().render(row, kNow), "1</s>");
  const uint64_t hash = load().content_hash();
  write("chat_template.jinja", "2{{ eos_token }}\n");
  EXPECT_EQ(load().render(row, kNow), "2</s>");
  EXPECT_NE(load().content_hash(), hash);
}

}  // namespace
}  // namespace llmpq
