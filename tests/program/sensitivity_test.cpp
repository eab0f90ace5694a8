// llmpq sensitivity as a user runs it: the same numbers on 1 to 3 ranks and however the text is
// cut, and sentences for what cannot be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/hdf5.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using Flags = std::vector<std::string>;
using testing::HasSubstr;

class SensitivityProgram : public testing::Test {
 protected:
  ProgramRun run(const std::string& output, const Flags& more, int ranks = 0) const {
    Flags words{"sensitivity",         "--model", kTiny, "--threads", "1", "--save-sensitivity",
                scratch_.path(output), "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, ranks);
  }
  Flags text(int tokens, int runs, const Flags& more = {}) const {
    Flags flags{"--text",
                kTiny + "/heldout.txt",
                "--calibration-tokens",
                std::to_string(tokens),
                "--calibration-runs",
                std::to_string(runs)};
    flags.insert(flags.end(), more.begin(), more.end());
    return flags;
  }
  std::vector<double> numbers(const std::string& output, const std::string& group,
                              const std::string& name) const {
    const auto file = h5::File::open(scratch_.path(output), h5::File::Mode::kRead, Exit::kInternal);
    const h5::Dataset data = group.empty() ? file.dataset(name) : file.group(group).dataset(name);
    return data.read<double>(0, data.rows());
  }

  Scratch scratch_;
};

TEST_F(SensitivityProgram, RanksAndChunksDoNotMatter) {
  for (const std::string indicator : {"relative", "variance", "hessian"}) {
    SCOPED_TRACE(indicator);
    const Flags indicated{"--indicator", indicator};
    ASSERT_EQ(run("one.h5", text(1200, 0, indicated)).exit_code, 0);
    const auto want = numbers("one.h5", "", "omega");
    ASSERT_EQ(want.size(), 8u * 5);
    EXPECT_GT(want[4], want[3]) << "w3 hurts more than w4";
    EXPECT_GT(want[3], want[2]);
    EXPECT_EQ(want[0], 0);
    const Flags cut{"--indicator", indicator, "--prefill-tokens", "37"};
    for (const int ranks : {1, 2, 3}) {
      const ProgramRun again = run("again.h5", text(1200, 0, cut), ranks);
      ASSERT_EQ(again.exit_code, 0) << again.err;
      EXPECT_EQ(numbers("again.h5", "", "omega"), want) << ranks;
    }
  }
}

TEST_F(SensitivityProgram, CalibratesOnAnyNumberOfRanks) {
  const ProgramRun one = run("one.h5", text(2000, 5));
  ASSERT_EQ(one.exit_code, 0) << one.err;
  const auto json = nlohmann::json::parse(one.out);
  EXPECT_EQ(json["tokens"], 1999);
  EXPECT_EQ(json["loss_increase"]["w3"].size(), 8u);
  EXPECT_GT(json["relative_error"], 0);
  const auto runs = numbers("one.h5", "quality/runs", "loss_increase");
  ASSERT_EQ(runs.size(), 5u);
  EXPECT_GT(runs[0], runs[1]) << "w3 everywhere hurts more than w4 everywhere";
  const ProgramRun three = run("three.h5", text(2000, 5, {"--layers-per-stage", "1,4,3"}), 3);
  ASSERT_EQ(three.exit_code, 0) << three.err;
  EXPECT_EQ(three.out, one.out);
  EXPECT_EQ(numbers("three.h5", "quality/runs", "loss_increase"), runs);
}

TEST_F(SensitivityProgram, ForeseesLessLossWithGptq) {
  write_prompts(scratch_.path("p.h5"), bundled_prompts(0, 40));
  ASSERT_EQ(run("rtn.h5", text(1500, 1)).exit_code, 0);
  const Flags gptq{"--quantizer", "gptq", "--prompts", scratch_.path("p.h5")};
  const ProgramRun got = run("gptq.h5", text(1500, 1, gptq), 2);
  ASSERT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(nlohmann::json::parse(got.out)["quantizer"], "gptq");
  const auto rtn = numbers("rtn.h5", "quality/runs", "loss_increase");
  EXPECT_LT(numbers("gptq.h5", "quality/runs", "loss_increase").at(0), 0.9 * rtn.at(0))
      << "w3 everywhere";
  EXPECT_EQ(numbers("gptq.h5", "", "omega"), numbers("rtn.h5", "", "omega"));
  const ProgramRun same_texts =
      run("a.h5", {"--prompts", scratch_.path("p.h5"), "--quantizer", "gptq"});
  EXPECT_EQ(same_texts.exit_code, 2);
  EXPECT_THAT(same_texts.err, HasSubstr("give another --text FILE or --calibration-text FILE"));
}

TEST_F(SensitivityProgram, TakesTheJobsPrompts) {
  write_prompts(scratch_.path("p.h5"), bundled_prompts(0, 20));
  const ProgramRun got = run("a.h5", {"--prompts", scratch_.path("p.h5"), "--calibration-runs", "0",
                                      "--calibration-tokens", "300"});
  ASSERT_EQ(got.exit_code, 0) << got.err;
  const auto tokens = nlohmann::json::parse(got.out)["tokens"].get<int>();
  EXPECT_GT(tokens, 200);
  EXPECT_LT(tokens, 300) << "the first token of a prompt is not scored";
}

TEST_F(SensitivityProgram, DrawsTheRandomIndicatorFromTheSeed) {
  ASSERT_EQ(run("a.h5", text(200, 0, {"--indicator", "random", "--seed", "3"})).exit_code, 0);
  ASSERT_EQ(run("b.h5", text(300, 0, {"--indicator", "random", "--seed", "3"})).exit_code, 0);
  ASSERT_EQ(run("c.h5", text(200, 0, {"--indicator", "random", "--seed", "4"})).exit_code, 0);
  EXPECT_EQ(numbers("a.h5", "", "omega"), numbers("b.h5", "", "omega"));
  EXPECT_NE(numbers("a.h5", "", "omega"), numbers("c.h5", "", "omega"));
}

TEST_F(SensitivityProgram, SaysWhatCannotBe) {
  const ProgramRun none = run("a.h5", {});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("--text FILE or --prompts FILE"));
  const ProgramRun format = run("a.h5", text(100, 0, {"--format", "w4"}));
  EXPECT_EQ(format.exit_code, 2);
  EXPECT_THAT(format.err, HasSubstr("unknown flag --format"));
  const ProgramRun missing = run("a.h5", {"--text", scratch_.path("no.txt")}, 2);
  EXPECT_EQ(missing.exit_code, 5);
  EXPECT_THAT(missing.err, HasSubstr("no.txt"));
  const ProgramRun folder = run("no/folder/a.h5", text(100, 0));
  EXPECT_EQ(folder.exit_code, 6);
  EXPECT_FALSE(std::filesystem::exists(scratch_.path("a.h5")));
}

}  // namespace
}  // namespace llmpq::test
