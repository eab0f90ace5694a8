#include "commands/check_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.hpp"

namespace llmpq {
namespace {

using testing::HasSubstr;
using testing::Not;

CheckReport report_of(int ranks) {
  CheckReport report;
  for (int rank = 0; rank < ranks; ++rank) {
    RankReport r;
    r.rank = rank;
    r.host = "node";
    r.device = "Some CPU";
    r.isa = "avx2";
    report.ranks.push_back(r);
  }
  return report;
}

TEST(CheckReport, TheFirstErrorGivesTheCode) {
  CheckReport report = report_of(1);
  EXPECT_EQ(report.code(), Exit::kOk);
  EXPECT_THAT(describe(report), HasSubstr("nothing stands against"));
  report.findings = {{Exit::kOk, "w"}, {Exit::kGpu, "g"}, {Exit::kModel, "m"}};
  EXPECT_EQ(report.code(), Exit::kGpu);
  EXPECT_THAT(describe(report), HasSubstr("warning: w\nerror (exit code 7): g\n"));
  EXPECT_THAT(describe(report), Not(HasSubstr("nothing stands against")));
}

TEST(CheckReport, ShowsGpusAndTheirCopies) {
  CheckReport report = report_of(2);
  RankReport& gpu = report.ranks[1];
  gpu.backend = BackendKind::kCuda;
  gpu.device = "NVIDIA Test";
  gpu.uuid = "GPU-12345678-9abc";
  gpu.pci = "0000:3b:00.0";
  gpu.sms = 132;
  gpu.isa = "";
  report.copies = {std::nullopt, DeviceTransfer{.to_host_gbps = 55, .to_device_gbps = 54}};
  const std::string text = describe(report);
  EXPECT_THAT(text, HasSubstr("NVIDIA Test (132 SMs)  GPU-12345678  0000:3b:00.0"));
  EXPECT_THAT(text, HasSubstr("rank 1: GPU to host 55.0 GB/s, host to GPU 54.0 GB/s"));
  const auto json = parse_json(to_json(report), "the report", Exit::kInternal);
  EXPECT_EQ(json["ranks"][1]["gpu"]["uuid"], "GPU-12345678-9abc");
  EXPECT_EQ(json["ranks"][1]["copies"]["to_device_gbps"], 54.0);
  EXPECT_FALSE(json["ranks"][0].contains("gpu"));
  EXPECT_EQ(json["ranks"][0]["isa"], "avx2");
  EXPECT_FALSE(json["ranks"][1].contains("isa"));
}

TEST(CheckReport, PeaksAreThereIfMeasured) {
  CheckReport report = report_of(2);
  EXPECT_THAT(describe(report), Not(HasSubstr("GFLOP/s")));
  report.peaks = {{.read_gbps = 41.25, .f32_gflops = 262, .int8_gops = 1500, .half_gflops = 0},
                  {.read_gbps = 4380, .f32_gflops = 0, .int8_gops = 0, .half_gflops = 642000}};
  const std::string text = describe(report);
  EXPECT_THAT(text, testing::ContainsRegex("\n +0 +41\\.2 +262 +1500 +-\n"));
  EXPECT_THAT(text, testing::ContainsRegex("\n +1 +4380\\.0 +- +- +642000\n"));
  const auto json = parse_json(to_json(report), "the report", Exit::kInternal);
  EXPECT_EQ(json["ranks"][0]["peaks"]["int8_gops"], 1500);
  EXPECT_EQ(json["ranks"][1]["peaks"]["half_gflops"], 642000);
}

TEST(CheckReport, TransfersAreAMatrixOfFewRanksAndAListOfMany) {
  CheckReport report = report_of(2);
  report.transfers = {{.from = 0, .to = 1, .gbps = 5, .latency_us = 0.5}};
  EXPECT_THAT(describe(report), HasSubstr("   1  5.0 (0.5)          -\n"));
  CheckReport many = report_of(kMostRanksInPairs + 1);
  many.transfers = report.transfers;
  EXPECT_THAT(describe(many), HasSubstr("from  to  GB/s (us)"));
}

}  // namespace
}  // namespace llmpq
