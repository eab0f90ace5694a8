#include "commands/bench_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.hpp"

namespace llmpq {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

BenchStage stage_of(int rank, double prefill_s, double decode_s, double run_s) {
  BenchStage stage;
  stage.rank = rank;
  stage.layer_begin = 2 * rank;
  stage.layer_end = 2 * rank + 2;
  stage.time.busy_s = {.prefill = prefill_s, .decode = decode_s, .mixed = 0};
  stage.time.link_s = 0.1;
  stage.time.bubble_s = run_s - prefill_s - decode_s - 0.1;
  stage.work.prefill.bytes = 1e9;
  stage.work.prefill.of(Unit::kInt8) = 400e9;
  stage.work.decode.bytes = 8e9;
  stage.work.decode.of(Unit::kInt8) = 40e9;
  stage.work.decode.of(Unit::kF32) = 10e9;
  return stage;
}

BenchRun run_of(double seconds) {
  BenchRun run;
  run.seconds = seconds;
  run.counts.prefill_rows = 1000;
  run.counts.decode_rows = 90;
  run.counts.output_tokens = 100;
  run.stages = {stage_of(0, 1, 0.5, seconds), stage_of(1, 2, 0.25, seconds)};
  return run;
}

BenchReport report_of() {
  BenchReport report;
  report.model = "some-model";
  report.prompts = 10;
  report.prompt_tokens = 1000;
  report.output_tokens = 100;
  report.devices = {"CPU A", "CPU B"};
  report.peaks = {{.read_gbps = 40, .f32_gflops = 100, .int8_gops = 400, .half_gflops = 0},
                  {.read_gbps = 64, .f32_gflops = 100, .int8_gops = 400, .half_gflops = 0}};
  BenchCase c;
  c.strategy = "uniform";
  c.mix = "separated";
  c.formats = "4 x w4";
  c.load_s = 1.5;
  c.runs = {run_of(5), run_of(3), run_of(4)};
  report.cases = {c};
  return report;
}

TEST(BenchReport, SpeedsAreThoseOfTheBusiestStage) {
  const Speeds speeds = speeds_of(run_of(4));
  EXPECT_DOUBLE_EQ(speeds.output, 25);
  EXPECT_DOUBLE_EQ(speeds.total, 275);
  EXPECT_DOUBLE_EQ(speeds.prefill.value(), 500);
  EXPECT_DOUBLE_EQ(speeds.decode.value(), 180);
  BenchRun mixed = run_of(4);
  mixed.stages[0].time.busy_s.mixed = 0.1;
  EXPECT_FALSE(speeds_of(mixed).prefill) << "cannot be told apart";
  BenchRun no_decode = run_of(4);
  for (BenchStage& stage : no_decode.stages) stage.time.busy_s.decode = 0;
  EXPECT_FALSE(speeds_of(no_decode).decode);
}

TEST(BenchReport, TheMedianRunCounts) {
  BenchReport report = report_of();
  BenchCase& c = report.cases[0];
  EXPECT_EQ(median_run(c).seconds, 4);
  EXPECT_DOUBLE_EQ(spread_of(c), 0.5);
  c.runs.push_back(run_of(9));
  EXPECT_EQ(median_run(c).seconds, 4) << "of 3, 4, 5, 9";
  c.runs.resize(1);
  EXPECT_EQ(median_run(c).seconds, 5);
  EXPECT_EQ(spread_of(c), 0);
}

TEST(BenchReport, EachOperationCountsAtThePeakOfItsUnit) {
  const Peaks peaks{.read_gbps = 40, .f32_gflops = 100, .int8_gops = 400, .half_gflops = 0};
  const BenchStage stage = stage_of(0, 1, 0.5, 4);
  EXPECT_DOUBLE_EQ(bandwidth_share(stage.work.decode, 0.5, peaks).value(), 8 / 40.0 / 0.5);
  EXPECT_DOUBLE_EQ(arithmetic_share(stage.work.decode, 0.5, peaks).value(), (0.1 + 0.1) / 0.5);
  EXPECT_FALSE(arithmetic_share(stage.work.decode, 0, peaks)) << "no such steps";
  StepWork halves;
  halves.of(Unit::kHalf) = 1;
  EXPECT_DOUBLE_EQ(arithmetic_share(halves, 1, peaks).value(), 1e-11) << "multiplied as f32";
  EXPECT_DOUBLE_EQ(arithmetic_share(halves, 1, {.f32_gflops = 100, .half_gflops = 200}).value(),
                   5e-12);
  EXPECT_FALSE(arithmetic_share(halves, 1, {.int8_gops = 400})) << "no such peak";
  EXPECT_FALSE(bandwidth_share(halves, 1, Peaks{}));
}

TEST(BenchReport, TablesForPeople) {
  BenchReport report = report_of();
  std::string text = describe(report);
  EXPECT_THAT(text, HasSubstr("some-model on 2 ranks: 10 prompts, 1000 prompt tokens, 100 output"));
  EXPECT_THAT(text, ContainsRegex("uniform +separated +4 x w4 .* 25\\.0 +50\\.0 % +275\\.0"));
  // Stage 1 of the median run: busy 2.25 of 4 s, link 0.1, bubble 1.65.
  EXPECT_THAT(text, ContainsRegex("1 +1 +2-3 +56\\.2 % +41\\.2 % +2\\.5 %"));
  report.cases[0].predicted_s = 2;
  EXPECT_THAT(describe(report), ContainsRegex(" 50\\.0 +1\\.50\n"));
}

TEST(BenchReport, JsonHasEveryRun) {
  const auto json = parse_json(to_json(report_of()), "the report", Exit::kInternal);
  const auto& c = json.at("cases").at(0);
  EXPECT_EQ(c.at("output_tokens_per_s"), 25);
  EXPECT_TRUE(c.at("predicted_s").is_null());
  ASSERT_EQ(c.at("runs").size(), 3u);
  EXPECT_EQ(c["runs"][1]["seconds"], 3);
  const auto& stage = c["runs"][2]["stages"][0];
  EXPECT_EQ(stage["layers"], nlohmann::json({0, 2}));
  EXPECT_DOUBLE_EQ(stage["decode"]["mbu"], 0.4);
  EXPECT_DOUBLE_EQ(stage["prefill"]["mfu"], 1.0);
  EXPECT_TRUE(stage["mixed"]["mbu"].is_null());
  EXPECT_EQ(json["ranks"][1]["read_gbps"], 64);
}

TEST(BenchReport, MarkdownRowsHaveAsManyCellsAsTheHeader) {
  const std::string text = to_markdown(report_of());
  std::vector<int64_t> bars{0};
  for (const char c : text) {
    if (c == '\n') bars.push_back(0);
    if (c == '|') ++bars.back();
  }
  ASSERT_EQ(bars.size(), 4u);  // header, rule, row, nothing
  EXPECT_EQ(bars[0], bars[1]);
  EXPECT_EQ(bars[0], bars[2]);
  EXPECT_THAT(text, HasSubstr("| some-model | 2 | uniform | separated | 4 x w4 | 10 | 25.0 |"));
  // Prefill: stage 1 is the busiest, 1 s of work in 2 s. Decode: stage 0, 0.2 s of reading in 0.5.
  EXPECT_THAT(text, HasSubstr("| 500.0 (50.0 %) | 180.0 (40.0 %) |"));
}

}  // namespace
}  // namespace llmpq
