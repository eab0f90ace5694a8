// What takes minutes: many kills, and many rows. Label slow.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using Flags = std::vector<std::string>;

TEST(SlowGenerate, MemoryOfRank0DoesNotGrowWithTheRows) {
  const Scratch scratch;
  write_dummy_model(scratch.path("model"), {});
  const auto max_rss_kib = [&](int64_t rows) {
    write_token_prompts(scratch.path("prompts.h5"), rows, {20, 100}, 500);
    const ProgramRun run =
        run_program({"generate", "--model", scratch.path("model"), "--load-format", "dummy",
                     "--prompts", scratch.path("prompts.h5"), "--output", scratch.path("out.h5"),
                     "--overwrite", "--max-tokens", "1", "--log-level", "error"},
                    0, {.kill_after_s = 600});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    std::printf("%lld rows: %lld KiB\n", static_cast<long long>(rows),
                static_cast<long long>(run.max_rss_kib));
    return run.max_rss_kib;
  };
  // 200,000 prompts of 60 tokens are 48 MB of ids alone; rank 0 may keep an index of them.
  EXPECT_LT(max_rss_kib(200'000), max_rss_kib(2'000) + 40 * 1024);
}

TEST(SlowGenerate, ThirtyKillsLoseNothing) {
  const Scratch scratch;
  write_prompts(scratch.path("prompts.h5"), bundled_prompts(0, 400));
  // The slowest instruction set, so that every kill meets a run; the others give the same bits.
  const auto job = [&](const std::string& output, const std::string& isa) {
    return Flags{"generate",
                 "--model",
                 std::string(LLMPQ_DATA) + "/tiny",
                 "--prompts",
                 scratch.path("prompts.h5"),
                 "--output",
                 scratch.path(output),
                 "--max-tokens",
                 "48",
                 "--format",
                 "w8",
                 "--seed",
                 "11",
                 "--logprobs",
                 "1",
                 "--decode-batch",
                 "4",
                 "--resume",
                 "--log-level",
                 "error",
                 "--isa",
                 isa};
  };
  ASSERT_EQ(run_program(job("want.h5", "auto"), 2).exit_code, 0);
  std::mt19937 random(7);
  int kills = 0;
  for (int i = 0; i < 30; ++i) {
    const double after_s = 0.4 + 1e-3 * static_cast<double>(random() % 900);
    kills +=
        run_program(job("out.h5", "plain"), 1 + i % 3, {.kill_after_s = after_s}).exit_code == 137;
  }
  EXPECT_GT(kills, 10) << "most runs ended before they were killed";
  const ProgramRun last = run_program(job("out.h5", "auto"), 2);
  ASSERT_EQ(last.exit_code, 0) << last.err;
  const auto want = read_output(scratch.path("want.h5"));
  auto rows = read_output(scratch.path("out.h5"));
  ASSERT_EQ(rows.size(), want.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].plan_index = want[i].plan_index;
    EXPECT_TRUE(rows[i] == want[i]) << "row " << i;
  }
}

}  // namespace
}  // namespace llmpq::test
