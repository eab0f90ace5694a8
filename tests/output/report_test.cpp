#include "output/report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace llmpq {
namespace {

Report sample_report() {
  Report report;
  report.output = "out.h5";
  report.rows = {.rows = 50, .done = 50, .failed = 3};
  report.work.output_tokens = 1000;
  report.work.prefill_rows = 400;
  report.strategy = "llm-pq";
  report.load_s = 0.5;
  report.run_s = 4;
  return report;
}

TEST(Report, TheTableHasRowsTokensSpeedAndPlace) {
  const std::string table = report_table(sample_report());
  EXPECT_THAT(table, testing::ContainsRegex("rows ok +47\n"));
  EXPECT_THAT(table, testing::ContainsRegex("rows failed +3\n"));
  EXPECT_THAT(table, testing::ContainsRegex("output tokens/s +250.0\n"));
  EXPECT_THAT(table, testing::EndsWith("output: out.h5\n"));
  EXPECT_THAT(table, testing::ContainsRegex("strategy of the plan +llm-pq\n"));
}

TEST(Report, JsonIsOneObject) {
  const auto json = nlohmann::json::parse(report_json(sample_report()));
  EXPECT_EQ(json["rows_done"], 50);
  EXPECT_EQ(json["strategy"], "llm-pq");
  EXPECT_EQ(json["output_tokens_per_s"], 250.0);
}

}  // namespace
}  // namespace llmpq
