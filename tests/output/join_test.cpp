#include "output/join.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/expect_error.hpp"
#include "base/file.hpp"
#include "base/temp_folder.hpp"
#include "output/result.hpp"
#include "output/rows.hpp"

namespace llmpq {
namespace {

class Join : public testing::Test {
 protected:
  std::filesystem::path shard(int64_t begin, int64_t end, int32_t samples = 1,
                              int32_t logprobs = 0) {
    const auto path = folder_ / ("shard-" + std::to_string(begin) + ".h5");
    ResultHead head;
    head.rows = {begin, end};
    head.num_samples = samples;
    head.logprobs = logprobs;
    head.job = head.profile = head.versions = "{}";
    head.fingerprint =
        fmt::format(R"({{"rows":"{}:{}","temperature":{}}})", begin, end, temperature_);
    head.times = R"({"run_s":)" + std::to_string(begin) + "}";
    head.plans = {R"({"shard":)" + std::to_string(begin) + "}"};
    ResultWriter writer(path, head);
    for (int64_t row = begin; row < end; ++row) {
      for (int32_t sample = 0; sample < samples; ++sample) {
        const FinishedRow made = sample_row(row, sample, logprobs);
        writer.append(std::span(&made, 1), std::vector{id_ + std::to_string(row)});
      }
    }
    writer.finish();
    return path;
  }

  std::string id_ = "id-";
  double temperature_ = 1;
  TempFolder folder_;
  std::filesystem::path joined_ = folder_ / "joined.h5";
};

TEST_F(Join, ShardsInAnyOrderBecomeOneOutput) {
  const auto order =
      in_row_order({shard(600, 700, 2, 2), shard(5, 300, 2, 2), shard(300, 600, 2, 2)});
  join_results(order, joined_);
  const ResultReader result(joined_);
  EXPECT_EQ(result.head().rows.begin, 5);
  EXPECT_EQ(result.head().rows.end, 700);
  EXPECT_EQ(result.head().plans,
            (std::vector<std::string>{R"({"shard":5})", R"({"shard":300})", R"({"shard":600})"}));
  EXPECT_EQ(result.head().fingerprint, R"({"rows":"5:700","temperature":1})");
  EXPECT_EQ(result.head().times, R"([{"run_s":5},{"run_s":300},{"run_s":600}])");
  ASSERT_EQ(result.rows(), 695 * 2);
  const auto rows = result.read(0, result.rows());
  for (size_t i = 0; i < rows.size(); ++i) {
    const int64_t row = 5 + static_cast<int64_t>(i) / 2;
    FinishedRow want = sample_row(row, static_cast<int32_t>(i % 2), 2);
    if (want.plan_index >= 0) want.plan_index = row < 300 ? 0 : row < 600 ? 1 : 2;
    expect_same_row(rows[i], want);
  }
  EXPECT_EQ(result.read_ids(2, 1), std::vector<std::string>{"id-6"});
}

TEST_F(Join, EmptyShardsCountToo) {
  const auto order = in_row_order({shard(4, 8), shard(0, 4), shard(8, 8)});
  join_results(order, joined_);
  EXPECT_EQ(ResultReader(joined_).rows(), 8);
}

TEST_F(Join, GapsOverlapsAndStrangersAreRefused) {
  const auto first = shard(0, 4);
  EXPECT_ERROR(in_row_order({shard(6, 8), first}), Exit::kOutput,
               "rows 4 to 6 are missing between");
  EXPECT_ERROR(in_row_order({shard(3, 8), first}), Exit::kOutput, "rows 3 to 4 are in");
  EXPECT_ERROR(in_row_order({first, first}), Exit::kOutput, "rows 0 to 4 are in");
  EXPECT_ERROR(in_row_order({first, shard(4, 6, 2)}), Exit::kOutput, "not of one job");
  temperature_ = 0.5;
  EXPECT_ERROR(in_row_order({first, shard(4, 6)}), Exit::kOutput, "temperature is 1 in ");
  write_file_atomically(folder_ / "x.h5", "x", Exit::kInternal);
  EXPECT_ERROR(in_row_order({folder_ / "x.h5"}), Exit::kOutput, "not an HDF5 file");
}

TEST_F(Join, ExportsJsonlCsvAndText) {
  const std::vector<std::filesystem::path> one = {shard(2, 5, 1, 1)};
  export_results(one, folder_ / "o.jsonl", FileKind::kJsonl);
  std::istringstream lines(read_file(folder_ / "o.jsonl", 1 << 20, Exit::kInternal));
  std::string line;
  for (int64_t row = 2; row < 5; ++row) {
    ASSERT_TRUE(std::getline(lines, line));
    const auto json = nlohmann::json::parse(line);
    const FinishedRow want = sample_row(row, 0, 1);
    EXPECT_EQ(json["row"], row);
    EXPECT_EQ(json["id"], "id-" + std::to_string(row));
    EXPECT_EQ(json["text"], want.text);
    EXPECT_EQ(json["status"], row == 3 ? "failed" : "ok");
    EXPECT_EQ(json["token_ids"].get<std::vector<int32_t>>(), want.token_ids);
    EXPECT_EQ(json["logprobs"].get<std::vector<float>>(), want.logprobs);
  }
  EXPECT_FALSE(std::getline(lines, line));

  export_results(one, folder_ / "o.csv", FileKind::kCsv);
  const std::string csv = read_file(folder_ / "o.csv", 1 << 20, Exit::kInternal);
  EXPECT_THAT(csv, testing::StartsWith("id,row,sample,status,finish_reason,"));
  EXPECT_THAT(csv, testing::HasSubstr("\nid-3,3,0,failed,error,,-1,-1,row 3 has no prompt,\n"));
  EXPECT_THAT(csv, testing::HasSubstr("id-4,4,0,ok,stop,\"\n\n\",5,124,,ż"));

  export_results(one, folder_ / "o.txt", FileKind::kText);
  const std::string text = read_file(folder_ / "o.txt", 1 << 20, Exit::kInternal);
  EXPECT_EQ(text, sample_row(2, 0).text + "\n\n" + sample_row(4, 0).text + "\n");
}

TEST_F(Join, AnIdThatJsonCannotHoldIsNotChangedSilently) {
  id_ = "M\xfc-";
  const std::vector<std::filesystem::path> one = {shard(2, 5)};
  EXPECT_ERROR(export_results(one, folder_ / "o.jsonl", FileKind::kJsonl), Exit::kOutput,
               "row 2: the id is not valid UTF-8 at byte 1");
  export_results(one, folder_ / "o.csv", FileKind::kCsv);
  EXPECT_THAT(read_file(folder_ / "o.csv", 1 << 20, Exit::kInternal),
              testing::HasSubstr("\nM\xfc-4,4,0,ok,"));
}

}  // namespace
}  // namespace llmpq
