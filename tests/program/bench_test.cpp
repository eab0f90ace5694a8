// llmpq bench as a user runs it: without a dataset, on some ranks, with nothing written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

std::vector<std::string> bench(const std::vector<std::string>& more) {
  std::vector<std::string> words{
      "bench", "--model",         kTiny, "--backend", "cpu", "--threads",    "1", "--warmup",
      "0",     "--input-len",     "20",  "--seed",    "3",   "--output-len", "6", "--num-prompts",
      "9",     "--max-model-len", "64"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(Bench, CountsTheTokensOfEveryStrategyAndMix) {
  const ProgramRun run =
      run_program(bench({"--json", "--strategy", "uniform,joint", "--mix", "separated,mixed",
                         "--repetitions", "2", "--format", "w8"}),
                  2);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto json = parse_json(run.out, "stdout", Exit::kInternal);
  EXPECT_EQ(json["prompts"], 9);
  EXPECT_EQ(json["prompt_tokens"], 9 * 20);
  EXPECT_EQ(json["output_tokens"], 9 * 6);
  EXPECT_GT(json["ranks"].at(1)["read_gbps"], 0);
  ASSERT_EQ(json["cases"].size(), 4u);
  EXPECT_EQ(json["cases"][1]["strategy"], "uniform");
  EXPECT_EQ(json["cases"][1]["mix"], "mixed");
  EXPECT_EQ(json["cases"][2]["strategy"], "joint");
  for (const auto& c : json["cases"]) {
    EXPECT_GT(c["load_s"], 0);
    ASSERT_EQ(c["runs"].size(), 2u);
    for (const auto& one : c["runs"]) {
      EXPECT_EQ(one["output_tokens"], 54);
      EXPECT_EQ(one["prefill_rows"], 180);
      EXPECT_EQ(one["decode_rows"], 9 * 5);
      const double seconds = one["seconds"];
      ASSERT_EQ(one["stages"].size(), 2u);
      for (const auto& stage : one["stages"]) {
        const double busy = stage["busy_s"], bubble = stage["bubble_s"], link = stage["link_s"];
        EXPECT_GT(busy, 0);
        EXPECT_NEAR(busy + bubble + link, seconds, 0.01 * seconds);
      }
    }
  }
  const auto& stage = json["cases"][0]["runs"][0]["stages"][0];
  for (const char* kind : {"prefill", "decode"}) {
    EXPECT_GT(stage[kind]["mbu"], 0) << kind;
    EXPECT_GT(stage[kind]["mfu"], 0) << kind;
    EXPECT_LT(stage[kind]["mfu"], 1) << kind;
  }
}

TEST(Bench, TakesTheLengthsOfAPromptsFile) {
  Scratch scratch;
  write_prompts(scratch.path("prompts.h5"), bundled_prompts(0, 4),
                {.seed = {}, .max_tokens = {2, 3, -1, 5}});
  const auto with_file = [&](std::vector<std::string> more) {
    more.insert(more.end(),
                {"bench", "--json", "--model", kTiny, "--backend", "cpu", "--threads", "1",
                 "--warmup", "0", "--repetitions", "1", "--prompts", scratch.path("prompts.h5")});
    std::rotate(more.begin(), more.end() - 14, more.end());
    const ProgramRun run = run_program(more);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return parse_json(run.out, "stdout", Exit::kInternal);
  };
  const auto json = with_file({});
  EXPECT_EQ(json["prompts"], 4);
  EXPECT_EQ(json["output_tokens"], 2 + 3 + 128 + 5);
  EXPECT_GT(json["prompt_tokens"], 4);
  const auto twice = with_file({"--num-prompts", "8", "--output-len", "1"});
  EXPECT_EQ(twice["output_tokens"], 8);
  EXPECT_EQ(twice["prompt_tokens"].get<int64_t>(), 2 * json["prompt_tokens"].get<int64_t>());
}

TEST(Bench, PrintsTablesAndMarkdownAndDraws) {
  Scratch scratch;
  const ProgramRun table = run_program(bench({"--repetitions", "1", "--load-format", "dummy"}), 3);
  ASSERT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("tiny on 3 ranks: 9 prompts, 180 prompt tokens, 54 output"));
  EXPECT_THAT(table.out, ContainsRegex("stage +rank +layers +busy +bubble +link"));
  EXPECT_THAT(table.out, ContainsRegex("\n +2 +2 +[0-9]+-7 "));
  const ProgramRun drawn = run_program(
      bench({"--repetitions", "1", "--mix", "separated,mixed", "--svg", scratch.path("run.svg")}));
  ASSERT_EQ(drawn.exit_code, 0) << drawn.err;
  for (const char* mix : {"separated", "mixed"}) {
    std::ifstream file(scratch.path(std::string("run-joint-") + mix + ".svg"));
    const std::string svg(std::istreambuf_iterator<char>(file), {});
    EXPECT_THAT(svg, HasSubstr(std::string("tiny: 1 stage, ") + mix));
    EXPECT_THAT(svg, HasSubstr("</svg>"));
  }
  const ProgramRun markdown = run_program(bench({"--repetitions", "1", "--markdown"}));
  ASSERT_EQ(markdown.exit_code, 0) << markdown.err;
  EXPECT_THAT(markdown.out, HasSubstr("| tiny | 1 | joint | "));
}

TEST(Bench, RowsThatDoNotFitAreAnError) {
  const ProgramRun context = run_program(bench({"--input-len", "60"}));
  EXPECT_EQ(context.exit_code, 2);
  EXPECT_THAT(context.err,
              HasSubstr("--input-len 60 and --output-len 6 exceed the context of 64 tokens"));
  const ProgramRun strategy = run_program(bench({"--strategy", "joint,best"}));
  EXPECT_EQ(strategy.exit_code, 2);
  EXPECT_THAT(strategy.err, HasSubstr("--strategy"));
}

}  // namespace
}  // namespace llmpq::test
