// Parity with Hugging Face transformers in float32: every folder of fixtures/ (its README tells
// what is in them and how they were made).
#include <gtest/gtest.h>

#include <set>

#include "input/checkpoint.hpp"
#include "input/families.hpp"
#include "parity.hpp"
#include "reference_model.hpp"
#include "test_model.hpp"

namespace llmpq {
namespace {

class Parity : public ::testing::TestWithParam<std::string> {
 protected:
  const std::filesystem::path folder = parity_fixtures() / GetParam();
  const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(folder);
  const ParityExpectation expected{folder / "expected.json"};

  Runner runner(const std::string& isa = "auto") const {
    return Runner(*checkpoint, {.format = format_16bit(checkpoint->config()), .isa = isa});
  }
};

TEST_P(Parity, LogitsAreThoseOfTransformers) {
  for (const char* isa : {"plain", "auto"}) {
    Runner run = runner(isa);
    for (size_t p = 0; p < expected.prompts.size(); ++p) {
      const auto& prompt = expected.prompts[p];
      const Logits logits = run.prefill(static_cast<int>(p), prompt, prompt.size());
      expect_parity(logits.back(), expected.logits_last[p],
                    "the end of prompt " + std::to_string(p));
      if (p != expected.prompt_of_all) continue;
      ASSERT_EQ(logits.size(), expected.logits_all.size());
      for (size_t t = 0; t < logits.size(); ++t)
        expect_parity(logits[t], expected.logits_all[t], "position " + std::to_string(t));
    }
  }
}

TEST_P(Parity, GreedyTokensAreThoseOfTransformers) {
  Runner run = runner();
  EXPECT_EQ(greedy_tokens(run, expected.prompts, expected.greedy[0].size()), expected.greedy);
}

/// The plain model is transformers'; in every format the forward pass is the plain model with the
/// weights that the format holds, that is, with the dequantized ones.
TEST_P(Parity, EachFormatIsTheDequantizedModel) {
  const auto& prompt = expected.prompts[2];
  for (const FormatInfo& format : kFormats) {
    Runner run(*checkpoint, {.format = format.format});
    const std::vector<Vector> plain = ReferenceModel(*checkpoint, run.layers()).logits(prompt);
    const Logits logits = run.prefill(0, prompt, prompt.size());
    ASSERT_EQ(logits.size(), plain.size());
    for (size_t t = 0; t < plain.size(); ++t)
      expect_parity(logits[t], {plain[t].begin(), plain[t].end()},
                    std::string(format.name) + ", position " + std::to_string(t));
    if (format.format == format_16bit(checkpoint->config()))
      expect_parity({plain.back().begin(), plain.back().end()}, expected.logits_last[2],
                    "the plain model");
  }
}

TEST_P(Parity, ChunksDoNotMatter) {
  Runner run = runner();
  const auto& prompt = expected.prompts.back();
  const Logits whole = run.prefill(0, prompt, prompt.size());
  int sequence = 1;
  for (size_t chunk : {1, 6, 16}) EXPECT_EQ(run.prefill(sequence++, prompt, chunk), whole) << chunk;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Parity, ::testing::ValuesIn(parity_fixture_names()),
                         [](const auto& test) { return test.param; });

TEST(ParityFixtures, EachFamilyHasOne) {
  EXPECT_GE(parity_fixture_names().size(), 25u);
  std::set<std::string> seen;
  for (const std::string& name : parity_fixture_names())
    seen.insert(open_checkpoint(parity_fixtures() / name)->config().family);
  for (const Family& family : families())
    EXPECT_TRUE(seen.contains(std::string(family.name))) << family.name;
}

}  // namespace
}  // namespace llmpq
