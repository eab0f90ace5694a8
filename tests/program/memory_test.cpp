// What every rank foresees of its memory, beside what it fills.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <regex>

#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using Flags = std::vector<std::string>;

/// MiB that a rank foresaw and that it filled, as it says with --log-level debug.
struct RankMemory {
  double predicted = 0, measured = 0;
};

std::vector<RankMemory> memory_of(const std::string& log) {
  static const std::regex line("anonymous memory: ([0-9.]+) MiB predicted, ([0-9.]+) MiB at most");
  std::vector<RankMemory> ranks;
  for (std::sregex_iterator at(log.begin(), log.end(), line), end; at != end; ++at)
    ranks.push_back({std::stod((*at)[1]), std::stod((*at)[2])});
  return ranks;
}

/// A run that fills its KV cache.
std::vector<RankMemory> run_dummy(const DummyShape& shape, int ranks, const std::string& format,
                                  const Flags& more) {
  const Scratch scratch;
  write_dummy_model(scratch.path("model"), shape);
  write_token_prompts(scratch.path("prompts.h5"), 24, {200, 300}, shape.vocab);
  Flags words{"generate",
              "--model",
              scratch.path("model"),
              "--load-format",
              "dummy",
              "--prompts",
              scratch.path("prompts.h5"),
              "--output",
              scratch.path("out.h5"),
              "--backend",
              "cpu",
              "--threads",
              "1",
              "--max-tokens",
              "4",
              "--ignore-eos",
              "--format",
              format,
              "--max-model-len",
              "320",
              "--log-level",
              "debug"};
  words.insert(words.end(), more.begin(), more.end());
  const ProgramRun run = run_program(words, ranks);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  return memory_of(run.err);
}

void expect_within(const std::vector<RankMemory>& ranks, size_t count, double share) {
  ASSERT_EQ(ranks.size(), count);
  for (const RankMemory& rank : ranks) {
    std::printf("predicted %.1f MiB, filled %.1f MiB\n", rank.predicted, rank.measured);
    EXPECT_NEAR(rank.measured, rank.predicted, share * rank.predicted);
  }
}

TEST(Memory, ARankFillsWhatWasForeseen) {
  const DummyShape shape{512, 1024, 8, 8, 4, 16000};
  // A small stage: activations that wait because of other work on the machine show.
  expect_within(run_dummy(shape, 2, "w4", {"--kv-blocks", "300"}), 2, 0.08);
}

TEST(SlowMemory, ARankFillsWhatWasForeseen) {
  const DummyShape shape{768, 2048, 12, 12, 4, 32000};  // 100 M parameters
  for (const int ranks : {1, 2, 3})
    for (const char* format : {"bf16", "w4", "w3,w3,w3,w3,w4,w4,w4,w4,w8,w8,bf16,bf16"}) {
      SCOPED_TRACE(std::to_string(ranks) + " ranks, " + format);
      std::printf("%d ranks, %s\n", ranks, format);
      expect_within(run_dummy(shape, ranks, format, {}), static_cast<size_t>(ranks), 0.05);
    }
}

}  // namespace
}  // namespace llmpq::test
