// --quantizer gptq as a user runs it: the same tokens on 1 to 3 ranks, better perplexity at few
// bits, the result tells of it, and a run does not go on under another quantizer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/hdf5.hpp"
#include "base/json.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using Flags = std::vector<std::string>;
using testing::HasSubstr;

class QuantizerProgram : public testing::Test {
 protected:
  QuantizerProgram() { write_prompts(scratch_.path("prompts.h5"), bundled_prompts(0, 24)); }

  ProgramRun generate(const std::string& output, const Flags& more, int ranks = 0) const {
    Flags words{"generate",
                "--model",
                kTiny,
                "--prompts",
                scratch_.path("prompts.h5"),
                "--output",
                scratch_.path(output),
                "--max-tokens",
                "8",
                "--temperature",
                "0",
                "--logprobs",
                "1",
                "--threads",
                "1",
                "--calibration-tokens",
                "300"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, ranks);
  }
  std::vector<OutputRow> rows(const std::string& output) const {
    return read_output(scratch_.path(output));
  }
  Scratch scratch_;
};

TEST_F(QuantizerProgram, RanksAndChosenRowsDoNotMatter) {
  const Flags formats{"--format", "w3,w3,bf16,w4,w3,w8,bf16,bf16", "--head-format", "w8"};
  Flags gptq{"--quantizer", "gptq"};
  gptq.insert(gptq.end(), formats.begin(), formats.end());
  const ProgramRun one = generate("one.h5", gptq);
  ASSERT_EQ(one.exit_code, 0) << one.err;
  const auto want = rows("one.h5");
  for (const int ranks : {2, 3}) {
    const std::string output = std::to_string(ranks) + ".h5";
    const ProgramRun run = generate(output, gptq, ranks);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_EQ(rows(output), want) << ranks << " ranks";
  }
  Flags part = gptq;
  part.insert(part.end(), {"--rows", "10:15"});
  ASSERT_EQ(generate("part.h5", part).exit_code, 0);
  EXPECT_EQ(rows("part.h5"), (std::vector<OutputRow>{want.begin() + 10, want.begin() + 15}));

  ASSERT_EQ(generate("rtn.h5", formats).exit_code, 0);
  EXPECT_NE(rows("rtn.h5"), want) << "the quantizer changes nothing";
  const h5::File file =
      h5::File::open(scratch_.path("one.h5"), h5::File::Mode::kRead, Exit::kOutput);
  const auto job = parse_json(file.group("run").text_attribute("job"), "job", Exit::kOutput);
  EXPECT_EQ(job.at("quantizer"), "gptq");
  EXPECT_EQ(job.at("calibration-tokens"), 300);
}

/// Bytes [begin, end) of the text that the model was not trained on.
std::string part_of_heldout(size_t begin, size_t end) {
  std::stringstream text;
  text << std::ifstream(kTiny + "/heldout.txt").rdbuf();
  return text.str().substr(begin, end - begin);
}

TEST_F(QuantizerProgram, AtThreeBitsATextIsForeseenBetter) {
  std::ofstream(scratch_.path("text.txt")) << part_of_heldout(0, 12'000);
  std::ofstream(scratch_.path("other.txt")) << part_of_heldout(100'000, 112'000);
  const auto perplexity = [&](const Flags& more) {
    Flags words{"eval",     "--model", kTiny,    "--text",   scratch_.path("text.txt"),
                "--window", "128",     "--json", "--format", "w3"};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramRun run = run_program(words);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return parse_json(run.out, "eval", Exit::kInternal).at("perplexity").get<double>();
  };
  const double rtn = perplexity({});
  EXPECT_LT(perplexity({"--quantizer", "gptq", "--calibration-text", scratch_.path("other.txt")}),
            0.98 * rtn);
}

TEST_F(QuantizerProgram, SentencesForWhatCannotBe) {
  const std::string text = kTiny + "/heldout.txt";
  const Flags eval{"eval",     "--model", kTiny,         "--text", text,
                   "--format", "w4",      "--quantizer", "gptq"};
  const ProgramRun no_texts = run_program(eval);
  EXPECT_EQ(no_texts.exit_code, 2);
  EXPECT_THAT(no_texts.err, HasSubstr("give --calibration-text FILE or --prompts FILE"));
  const ProgramRun small = generate(
      "a.h5", {"--quantizer", "gptq", "--format", "w4", "--memory-limit", "6MiB", "--kv-blocks",
               "40", "--max-model-len", "128", "--decode-batch", "2", "--prefill-tokens", "16"});
  EXPECT_EQ(small.exit_code, 3) << small.err;
  EXPECT_THAT(small.err, HasSubstr("give fewer --calibration-tokens or more ranks"));
}

}  // namespace
}  // namespace llmpq::test
