#include "base/json.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/expect_error.hpp"

namespace llmpq {
namespace {

TEST(Json, FaultsNameTheFileAndTheByte) {
  EXPECT_EQ(parse_json("{\"a\": [1, 2]}", "plan.json", Exit::kNoPlan)["a"][1], 2);
  EXPECT_ERROR(parse_json("{\"a\": }", "plan.json", Exit::kNoPlan), Exit::kNoPlan,
               "plan.json: not JSON at byte 7");
  EXPECT_ERROR(parse_json("", "plan.json", Exit::kNoPlan), Exit::kNoPlan, "plan.json: not JSON");
}

TEST(Json, NothingBehindANulIsDropped) {
  using namespace std::literals;
  EXPECT_ERROR(parse_json("{}\0{}"sv, "f.jsonl", Exit::kPrompts), Exit::kPrompts,
               "f.jsonl: not JSON at byte 3: a NUL");
}

TEST(Json, DeepNestingIsRefusedButBracketsInStringsAreNot) {
  EXPECT_ERROR(parse_json(std::string(100000, '['), "x", Exit::kModel), Exit::kModel,
               "nested deeper than 512");
  const std::string text = "\"\\\"" + std::string(1000, '[') + "\"";
  EXPECT_EQ(parse_json(text, "x", Exit::kModel).get<std::string>().size(), 1001u);
}

TEST(Json, UniqueRefusesAKeyThatStandsTwiceInOneObject) {
  EXPECT_EQ(
      parse_json_unique(R"({"a": {"b": 1}, "b": [{"a": 2}, {"a": 3}]})", "x", Exit::kModel).size(),
      2u);
  EXPECT_ERROR(parse_json_unique(R"({"a": 1, "c": {"b": 1, "b": 2}})", "x", Exit::kModel),
               Exit::kModel, "x: 'b' stands there twice");
}

TEST(Json, BrokenUtf8IsReplacedOnTheWayOut) {
  const nlohmann::json value = {{"text", "a\xFF"}};
  EXPECT_EQ(dump_json(value), "{\"text\":\"a\xEF\xBF\xBD\"}");
}

}  // namespace
}  // namespace llmpq
