#include "commands/convert.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/expect_error.hpp"
#include "base/file.hpp"
#include "base/temp_folder.hpp"
#include "input/prompts.hpp"
#include "input/tokenizer.hpp"
#include "output/result.hpp"
#include "output/rows.hpp"

namespace llmpq {
namespace {

class ConvertCommand : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  std::filesystem::path write_result(const std::string& name, int64_t begin, int64_t end) {
    ResultWriter writer(folder_ / name,
                        {{{begin, end}, 1, 0, "{}", "{}", "{}", "{}"}, false, "{}", {"{}"}});
    for (int64_t row = begin; row < end; ++row) {
      const FinishedRow made = sample_row(row, 0);
      writer.append(std::span(&made, 1), std::vector<std::string>{""});
    }
    writer.finish();
    return folder_ / name;
  }
  Job job(std::vector<std::filesystem::path> input, const std::string& output) {
    Job job;
    job.input = std::move(input);
    job.output = folder_ / output;
    return job;
  }

  TempFolder folder_;
};

TEST_F(ConvertCommand, SeveralPromptFilesBecomeOne) {
  EXPECT_EQ(
      run_convert(job({write("a.txt", "1\n2\n"), write("b.jsonl", "{\"prompt\": \"3\"}")}, "p.h5")),
      0);
  EXPECT_EQ(PromptsFile::open(folder_ / "p.h5").read(2, 1, {})[0].text, "3");
}

TEST_F(ConvertCommand, AnOutputThatExistsIsKeptUnlessOverwritten) {
  const auto input = write("a.txt", "new\n");
  write("p.txt", "old");
  EXPECT_ERROR(run_convert(job({input}, "p.txt")), Exit::kOutput, "exists already and is kept");
  EXPECT_EQ(read_file(folder_ / "p.txt", 99, Exit::kInternal), "old");
  Job again = job({input}, "p.txt");
  again.overwrite = true;
  run_convert(again);
  EXPECT_EQ(read_file(folder_ / "p.txt", 99, Exit::kInternal), "new\n");
}

TEST_F(ConvertCommand, AFaultLeavesNothingBehind) {
  EXPECT_ERROR(run_convert(job({write("a.jsonl", "{}")}, "p.h5")), Exit::kPrompts, "a.jsonl:1");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "p.h5"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "p.h5.part.new"));
}

TEST_F(ConvertCommand, ShardsAreJoinedAndExported) {
  const std::vector shards = {write_result("b.h5", 4, 9), write_result("a.h5", 0, 4)};
  run_convert(job(shards, "all.h5"));
  EXPECT_EQ(ResultReader(folder_ / "all.h5").rows(), 9);
  run_convert(job(shards, "all.txt"));
  run_convert(job({folder_ / "all.h5"}, "again.txt"));
  EXPECT_EQ(read_file(folder_ / "all.txt", 1 << 20, Exit::kInternal),
            read_file(folder_ / "again.txt", 1 << 20, Exit::kInternal));
  EXPECT_ERROR(run_convert(job({shards[0], write_result("c.h5", 0, 3)}, "x.h5")), Exit::kOutput,
               "rows 3 to 4 are missing");
}

TEST_F(ConvertCommand, WrongUseIsTold) {
  const auto text = write("a.txt", "1\n");
  EXPECT_ERROR(run_convert(job({text, write_result("r.h5", 0, 1)}, "p.h5")), Exit::kUsage,
               "1 of 2 input files are outputs");
  Job half = job({text}, "p.h5");
  half.to = ConvertTo::kTokenIds;
  EXPECT_ERROR(run_convert(half), Exit::kUsage, "belong together");
  EXPECT_ERROR(run_convert(job({text}, "p.parquet")), Exit::kUsage, "must show in its name");
  EXPECT_ERROR(run_convert(job({text}, "no/p.h5")), Exit::kOutput, "does not exist");
}

TEST_F(ConvertCommand, TokenIdsAndBackWithTheTinyModel) {
  const std::filesystem::path model = std::filesystem::path(LLMPQ_DATA) / "tiny";
  const std::string prompts = "Once upon a time\nsort: 3 1 2\n";
  Job there = job({write("a.txt", prompts)}, "ids.h5");
  there.model = model;
  there.to = ConvertTo::kTokenIds;
  run_convert(there);
  const auto rows = PromptsFile::open(folder_ / "ids.h5").read(0, 2, {});
  EXPECT_EQ(rows[0].tokens, Tokenizer::load(model / "tokenizer.json").encode("Once upon a time"));
  Job back = job({folder_ / "ids.h5"}, "back.txt");
  back.model = model;
  back.to = ConvertTo::kText;
  run_convert(back);
  EXPECT_EQ(read_file(folder_ / "back.txt", 1 << 20, Exit::kInternal), prompts);
}

}  // namespace
}  // namespace llmpq
