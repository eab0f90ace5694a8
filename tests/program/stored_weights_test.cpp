// Checkpoints of integers (GPTQ, AWQ) as a user runs them: their formats are kept, on any number of
// ranks, and what cannot be kept is told, with the way out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using Flags = std::vector<std::string>;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class StoredProgram : public testing::Test {
 protected:
  StoredProgram() { write_token_prompts(scratch_.path("prompts.h5"), 5, {3, 20}, 128); }

  static std::string model(const std::string& name) {
    return std::string(LLMPQ_TEST_DATA) + "/layer/fixtures_stored/" + name;
  }
  ProgramRun run(const std::string& name, const Flags& more = {}, int ranks = 0) const {
    Flags words{
        "generate",      "--model", model(name),    "--prompts",    scratch_.path("prompts.h5"),
        "--output",      output(),  "--overwrite",  "--max-tokens", "6",
        "--temperature", "0",       "--ignore-eos", "--threads",    "1"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, ranks);
  }
  std::string output() const { return scratch_.path("out.h5"); }
  Scratch scratch_;
};

TEST_F(StoredProgram, IntegersAreKeptOnAnyNumberOfRanks) {
  const ProgramRun one = run("gptq_4_bits");
  ASSERT_EQ(one.exit_code, 0) << one.err;
  EXPECT_THAT(one.err,
              HasSubstr("GPTQ, 4 bits, groups of 128, symmetric) are kept as they are, in w4"));
  const auto want = read_output(output());
  ASSERT_EQ(run("gptq_4_bits", {"--format", "w4"}, 2).exit_code, 0);
  EXPECT_EQ(read_output(output()), want);
  const ProgramRun awq = run("awq_4_bits", {}, 2);
  ASSERT_EQ(awq.exit_code, 0) << awq.err;
  EXPECT_THAT(awq.err, HasSubstr("with zero points) are kept as they are, in w8"));
}

TEST_F(StoredProgram, WhatNoFormatHoldsNeedsAFormat) {
  const ProgramRun refused = run("gptq_4_bits_desc_act", {}, 2);
  EXPECT_EQ(refused.exit_code, 4) << refused.err;
  EXPECT_THAT(refused.err,
              AllOf(HasSubstr("groups of 64 have no place"), HasSubstr("give --format")));
  const ProgramRun rounded = run("gptq_4_bits_desc_act", {"--format", "f16"});
  EXPECT_EQ(rounded.exit_code, 0) << rounded.err;
  EXPECT_THAT(rounded.err, HasSubstr("are dequantized and rounded anew, to f16"));
}

TEST_F(StoredProgram, WishesForQualityAreForOriginalModels) {
  const ProgramRun wish = run("gptq_4_bits", {"--average-bits", "5"});
  EXPECT_EQ(wish.exit_code, 2) << wish.err;
  EXPECT_THAT(wish.err, HasSubstr("leave out theta, average-bits"));
  const ProgramRun sensitivity =
      run_program({"sensitivity", "--model", model("gptq_4_bits"), "--prompts",
                   scratch_.path("prompts.h5"), "--save-sensitivity", scratch_.path("s.h5")});
  EXPECT_EQ(sensitivity.exit_code, 2) << sensitivity.err;
  EXPECT_THAT(sensitivity.err, HasSubstr("sensitivity needs the original model"));
}

/// One V100 with two short prompts.
std::string small_cluster() {
  return R"({"format": "llmpq-cluster-1", "name": "one", "shape": "opt-13b",
             "workload": {"prompts": 2, "prompt_tokens": 16, "output_tokens": 4},
             "nodes": [{"name": "a", "gpus": [{"gpu": "V100-32G", "count": 1}]}]})";
}

TEST_F(StoredProgram, EveryViewOfPlanKeepsTheIntegers) {
  std::ofstream(scratch_.path("cluster.json")) << small_cluster();
  const Flags ranks{
      "plan",      "--model", model("gptq_4_bits"), "--prompts", scratch_.path("prompts.h5"),
      "--threads", "1",       "--profile-seconds",  "0.3"};
  const Flags cluster{"plan", "--model", model("gptq_4_bits"), "--cluster",
                      scratch_.path("cluster.json")};
  const std::vector<std::pair<Flags, std::string>> views{
      {{"--strategy", "all"}, "w4 for all layers"},
      {{"--sweep", "theta"}, "     4  "},
      {{"--max-batch"}, "w4 x2"},
      {{"--max-context"}, "w4 x2"},
      {{"--min-bits"}, "w4"},
      {{}, "w4 x2"}};
  for (const Flags& start : {ranks, cluster})
    for (const auto& [view, formats] : views) {
      Flags words = start;
      words.insert(words.end(), view.begin(), view.end());
      const ProgramRun run = run_program(words);
      ASSERT_EQ(run.exit_code, 0) << run.err;
      EXPECT_THAT(run.out,
                  AllOf(HasSubstr(formats), Not(HasSubstr("f16 x2")), Not(HasSubstr("w8"))))
          << testing::PrintToString(words);
      EXPECT_THAT(run.err, HasSubstr("are kept as they are, in w4"));
    }
}

}  // namespace
}  // namespace llmpq::test
