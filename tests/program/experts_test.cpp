// Mixtures of experts with what looks on while layers run: the sensitivity indicator and GPTQ, the
// same on any number of ranks.
#include <gtest/gtest.h>

#include "base/hdf5.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using Flags = std::vector<std::string>;

class ExpertsProgram : public testing::Test {
 protected:
  ExpertsProgram() { write_token_prompts(scratch_.path("prompts.h5"), 12, {4, 30}, 128); }

  ProgramRun run(const Flags& command, int ranks) const {
    Flags words = command;
    words.insert(words.end(), {"--model", std::string(LLMPQ_TEST_DATA) + "/layer/fixtures/mixtral",
                               "--prompts", scratch_.path("prompts.h5"), "--threads", "1"});
    return run_program(words, ranks);
  }
  std::vector<double> omega(const std::string& file) const {
    const auto from = h5::File::open(scratch_.path(file), h5::File::Mode::kRead, Exit::kInternal);
    const h5::Dataset data = from.dataset("omega");
    return data.read<double>(0, data.rows());
  }
  Scratch scratch_;
};

TEST_F(ExpertsProgram, SensitivityDoesNotDependOnTheRanks) {
  const auto sensitivity = [&](const std::string& file, int ranks) {
    const ProgramRun got = run({"sensitivity", "--save-sensitivity", scratch_.path(file),
                                "--calibration-runs", "0", "--prefill-tokens", ranks ? "7" : "64"},
                               ranks);
    ASSERT_EQ(got.exit_code, 0) << got.err;
  };
  sensitivity("one.h5", 0);
  sensitivity("two.h5", 2);
  const auto want = omega("one.h5");
  ASSERT_EQ(want.size(), 2u * 5);
  EXPECT_GT(want[4], want[3]) << "w3 hurts more than w4";
  EXPECT_EQ(omega("two.h5"), want);
}

TEST_F(ExpertsProgram, GptqDoesNotDependOnTheRanks) {
  const auto generate = [&](const std::string& file, const std::string& quantizer, int ranks) {
    const ProgramRun got = run(
        {"generate", "--output", scratch_.path(file), "--format", "w3", "--quantizer", quantizer,
         "--max-tokens", "6", "--temperature", "0", "--ignore-eos", "--logprobs", "1"},
        ranks);
    EXPECT_EQ(got.exit_code, 0) << got.err;
    return read_output(scratch_.path(file));
  };
  const auto want = generate("one.h5", "gptq", 0);
  EXPECT_EQ(generate("two.h5", "gptq", 2), want);
  EXPECT_NE(generate("rtn.h5", "rtn", 0), want) << "the quantizer changes nothing";
}

}  // namespace
}  // namespace llmpq::test
