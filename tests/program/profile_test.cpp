// llmpq profile: measures, keeps, reads back, and refuses what does not belong to the model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using testing::HasSubstr;

std::vector<std::string> profile(std::vector<std::string> more) {
  more.insert(more.begin(), {"profile", "--model", kTiny, "--backend", "cpu", "--threads", "1"});
  return more;
}

TEST(Profile, IsMeasuredOnceAndThenKept) {
  Scratch scratch;
  const std::vector<std::string> words{
      "--profile-cache", scratch.path("cache"), "--format", "w4", "--profile-seconds", "5",
      "--json"};
  for (const int ranks : {0, 2}) {
    const ProgramRun first = run_program(profile(words), ranks);
    ASSERT_EQ(first.exit_code, 0) << first.err;
    const auto json = parse_json(first.out, "stdout", Exit::kUsage);
    ASSERT_EQ(json["ranks"].size(), ranks == 0 ? 1u : 2u);
    EXPECT_EQ(json["ranks"][0]["origin"], "measured");
    EXPECT_GT(json["ranks"][0]["spent_s"], 0);
    EXPECT_TRUE(json["profile"]["devices"][0]["layer"].contains("w4"));
    EXPECT_FALSE(json["profile"]["devices"][0]["layer"].contains("bf16"));
    EXPECT_EQ(json["profile"]["links"].size(), ranks == 0 ? 0u : 2u);
    const ProgramRun second = run_program(profile(words), ranks);
    ASSERT_EQ(second.exit_code, 0) << second.err;
    const auto kept = parse_json(second.out, "stdout", Exit::kUsage);
    EXPECT_THAT(std::string(kept["ranks"][0]["origin"]), HasSubstr(scratch.path("cache")));
    EXPECT_EQ(kept["profile"]["devices"], json["profile"]["devices"]);
  }
}

TEST(Profile, IsSavedAndGivenBack) {
  Scratch scratch;
  const std::string file = scratch.path("p.json");
  const ProgramRun saved = run_program(profile({"--profile-cache", scratch.path("cache"),
                                                "--profile-seconds", "2", "--save-profile", file}));
  ASSERT_EQ(saved.exit_code, 0) << saved.err;
  for (const char* part : {"rank 0: ", "prefill 256: tokens/s", "decode 128: us", "bf16 ", "w3 ",
                           "attention per row and key: ", "head w8", "measured in ",
                           "mean error of the latency model where it was not fitted: "})
    EXPECT_THAT(saved.out, HasSubstr(part));
  EXPECT_THAT(saved.err, HasSubstr("was measured in "));
  const ProgramRun given = run_program(profile({"--profile", file}), 2);
  EXPECT_EQ(given.exit_code, 0) << given.err;
  EXPECT_THAT(given.out, HasSubstr("ranks 0-1: "));
  EXPECT_THAT(given.out, HasSubstr(file));

  const ProgramRun other =
      run_program({"profile", "--model", std::string(LLMPQ_DATA) + "/shapes/llama-3.1-8b",
                   "--load-format", "dummy", "--backend", "cpu", "--profile", file},
                  2);
  EXPECT_EQ(other.exit_code, 2) << other.err;
  EXPECT_THAT(other.err, HasSubstr("was measured for layers of another model"));
}

TEST(Profile, WhatIsWrongIsASentence) {
  const ProgramRun missing = run_program(profile({"--profile", "/no/such/file"}));
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.err, HasSubstr("/no/such/file"));
  const ProgramRun model = run_program({"profile"});
  EXPECT_EQ(model.exit_code, 2);
  EXPECT_THAT(model.err, HasSubstr("profile needs --model DIR"));
}

}  // namespace
}  // namespace llmpq::test
