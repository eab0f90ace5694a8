// A dataset in which every tenth row is bad, in one of ten ways: the others are done as if it were
// not, and each bad one says what is wrong with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using testing::HasSubstr;

constexpr size_t kRows = 200;
constexpr double kJobs = std::numeric_limits<double>::quiet_NaN();  ///< the job's value

struct BadRow {
  std::string sentence;      ///< what its error has
  std::string column = {};   ///< a sampling option's
  double value = 0;          ///< there
  std::string prompt = "a";  ///< unless a column is bad
};

std::vector<BadRow> bad_rows() {
  std::string story;
  for (int i = 0; i < 400; ++i) story += " the dog ran";
  return {
      {.sentence = "the prompt is empty", .prompt = ""},
      {.sentence = "UTF-8", .prompt = "bad \xff\xfe bytes"},
      {.sentence = "--truncate-prompt left or right cuts it", .prompt = story},
      {.sentence = "max_tokens is -3, want", .column = "max_tokens", .value = -3},
      {.sentence = "temperature is -0.5, want", .column = "temperature", .value = -0.5},
      {.sentence = "top_p is 1.5, want", .column = "top_p", .value = 1.5},
      {.sentence = "top_k is -7, want", .column = "top_k", .value = -7},
      {.sentence = "min_p is 2, want", .column = "min_p", .value = 2},
      {.sentence = "repetition_penalty is 0, want", .column = "repetition_penalty", .value = 0},
      {.sentence = "presence_penalty is 1e+30, want", .column = "presence_penalty", .value = 1e30}};
}

TEST(BadRows, EveryTenthInOneOfTenWays) {
  const Scratch scratch;
  const auto bad = bad_rows();
  auto texts = bundled_prompts(0, kRows);
  write_prompts(scratch.path("good.h5"), texts);
  PromptColumns columns;
  for (size_t row = 3, i = 0; row < kRows; row += 10, ++i) {
    const BadRow& how = bad[i % bad.size()];
    if (how.column.empty())
      texts[row] = how.prompt;
    else
      columns.numbers.try_emplace(how.column, kRows, kJobs).first->second[row] = how.value;
  }
  write_prompts(scratch.path("bad.h5"), texts, columns);
  const auto run = [&](const std::string& prompts, const std::vector<std::string>& more, int code) {
    std::vector<std::string> words{"generate",
                                   "--model",
                                   kTiny,
                                   "--prompts",
                                   scratch.path(prompts),
                                   "--output",
                                   scratch.path("out-" + prompts),
                                   "--max-tokens",
                                   "8"};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramRun run = run_program(words, 2);
    EXPECT_EQ(run.exit_code, code) << run.err;
    return read_output(scratch.path("out-" + prompts));
  };
  const auto want = run("good.h5", {}, 0), rows = run("bad.h5", {"--strict"}, 10);
  ASSERT_EQ(rows.size(), kRows);
  std::set<std::string> sentences;
  size_t ok = 0;
  for (size_t row = 0; row < kRows; ++row) {
    SCOPED_TRACE(row);
    if (row % 10 != 3) {
      EXPECT_TRUE(rows[row] == want[row]);
      ok += rows[row].status == "ok";
      continue;
    }
    EXPECT_EQ(rows[row].status, "failed");
    EXPECT_EQ(rows[row].finish_reason, "error");
    EXPECT_TRUE(rows[row].token_ids.empty());
    EXPECT_THAT(rows[row].error, HasSubstr(bad[row / 10 % bad.size()].sentence));
    sentences.insert(rows[row].error);
  }
  EXPECT_EQ(ok, kRows * 9 / 10);
  EXPECT_EQ(sentences.size(), bad.size());
}

}  // namespace
}  // namespace llmpq::test
