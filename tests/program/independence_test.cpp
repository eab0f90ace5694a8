// Results never depend on how the work was cut: every dataset of the rows is bit for bit the same
// on 1 to 4 ranks, for any chunk, batch, lane, block, thread and mix, any order and subset.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using Flags = std::vector<std::string>;

constexpr int kPrompts = 24;
const Flags kGreedy{"--temperature", "0", "--logprobs", "1"};
const Flags kSampled{"--temperature",
                     "0.9",
                     "--top-p",
                     "0.95",
                     "--top-k",
                     "50",
                     "--repetition-penalty",
                     "1.1",
                     "--presence-penalty",
                     "0.1",
                     "--seed",
                     "7",
                     "--logprobs",
                     "3",
                     "--stop",
                     "."};

struct Flavor {
  std::string name;
  Flags flags;
};
void PrintTo(const Flavor& flavor, std::ostream* out) { *out << flavor.name; }

const std::vector<Flavor> kFlavors{
    {"bf16_greedy", {"--format", "bf16"}},
    {"bf16_both_sampled", {"--format", "bf16", "--activation-dtype", "bf16"}},
    {"f16_sampled", {"--format", "f16"}},
    {"w8_sampled", {"--format", "w8"}},
    {"w4_sampled", {"--format", "w4"}},
    {"w3_greedy", {"--format", "w3"}},
    {"all_formats_sampled", {"--format", "bf16,w8,w4,w3,f16,w4,w8,w3", "--head-format", "w8"}},
    {"int8_cache_sampled", {"--format", "w4", "--kv-cache-dtype", "int8"}},
    {"w4_float_activations_greedy", {"--format", "w4", "--activation-dtype", "f32"}},
};

struct Cut {
  int ranks;
  Flags flags;
};
const std::vector<Cut> kCuts{
    {1, {"--prefill-tokens", "7", "--decode-batch", "1", "--lanes", "1", "--threads", "2"}},
    {2, {"--prefill-tokens", "64", "--decode-batch", "5", "--lanes", "3", "--threads", "1"}},
    {2, {"--layers-per-stage", "1,7", "--mix", "mixed", "--decode-batch", "4", "--lanes", "2"}},
    {3, {"--mix", "separated", "--prefill-tokens", "33", "--decode-batch", "8"}},
    {3, {"--mix", "interleaved", "--lanes", "1", "--threads", "3"}},
    {4, {"--mix", "mixed", "--prefill-tokens", "50", "--lanes", "4", "--decode-batch", "3"}},
    {4, {"--kv-blocks", "40", "--prefill-tokens", "128", "--lanes", "2"}},
};

Flags operator+(Flags a, const Flags& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Independence : public testing::TestWithParam<Flavor> {
 protected:
  void SetUp() override {
    texts_ = bundled_prompts(100, kPrompts);
    ASSERT_EQ(texts_.size(), kPrompts);
    write_prompts(scratch_.path("prompts.h5"), texts_);
  }

  Flags job(const std::string& prompts, const std::string& output) const {
    const bool greedy = GetParam().name.ends_with("greedy");
    return Flags{"generate",
                 "--model",
                 kTiny,
                 "--prompts",
                 scratch_.path(prompts),
                 "--output",
                 scratch_.path(output),
                 "--max-tokens",
                 "24"} +
           GetParam().flags + (greedy ? kGreedy : kSampled);
  }

  std::vector<OutputRow> run(int ranks, const Flags& flags, const std::string& output) const {
    const ProgramRun run = run_program(flags, ranks);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run.exit_code == 0 ? read_output(scratch_.path(output)) : std::vector<OutputRow>{};
  }

  std::vector<OutputRow> reference() const {
    return run(0, job("prompts.h5", "reference.h5") + Flags{"--threads", "1"}, "reference.h5");
  }

  Scratch scratch_;
  std::vector<std::string> texts_;
};

void expect_same(const std::vector<OutputRow>& rows, const std::vector<OutputRow>& reference) {
  ASSERT_EQ(rows.size(), reference.size());
  for (size_t i = 0; i < rows.size(); ++i)
    EXPECT_TRUE(rows[i] == reference[i])
        << "row " << i << ": \"" << rows[i].text << "\" but want \"" << reference[i].text << '"';
}

TEST_P(Independence, OfRanksSizesAndMixes) {
  const auto want = reference();
  ASSERT_EQ(want.size(), kPrompts);
  int64_t tokens = 0;
  for (const OutputRow& row : want) {
    EXPECT_EQ(row.status, "ok") << row.error;
    EXPECT_EQ(row.logprobs.size(), row.token_ids.size());
    tokens += row.completion_tokens;
  }
  EXPECT_GT(tokens, kPrompts * 2);
  for (size_t i = 0; i < kCuts.size(); ++i) {
    SCOPED_TRACE("cut " + std::to_string(i));
    const std::string output = "cut" + std::to_string(i) + ".h5";
    expect_same(run(kCuts[i].ranks, job("prompts.h5", output) + kCuts[i].flags, output), want);
  }
}

TEST_P(Independence, OfSubset) {
  const auto want = reference();
  ASSERT_EQ(want.size(), kPrompts);
  const auto rows = run(2, job("prompts.h5", "part.h5") + Flags{"--rows", "5:13"}, "part.h5");
  expect_same(rows, {want.begin() + 5, want.begin() + 13});
}

TEST_P(Independence, OfOrderWithSeedsOfTheirOwn) {
  std::vector<uint64_t> seeds(kPrompts);
  std::iota(seeds.begin(), seeds.end(), 1000);
  write_prompts(scratch_.path("seeded.h5"), texts_, {.seed = seeds, .max_tokens = {}});
  auto want = run(0, job("seeded.h5", "want.h5"), "want.h5");
  ASSERT_EQ(want.size(), kPrompts);
  std::reverse(seeds.begin(), seeds.end());
  write_prompts(scratch_.path("reversed.h5"), {texts_.rbegin(), texts_.rend()},
                {.seed = seeds, .max_tokens = {}});
  std::reverse(want.begin(), want.end());
  expect_same(run(3, job("reversed.h5", "reversed-out.h5"), "reversed-out.h5"), want);
}

INSTANTIATE_TEST_SUITE_P(Flavors, Independence, testing::ValuesIn(kFlavors),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace llmpq::test
