#include "profile/inventory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmpq {
namespace {

using testing::HasSubstr;

constexpr int64_t kGiB = int64_t{1} << 30;

RankReport gpu_rank(int rank, const std::string& uuid, int64_t free_bytes) {
  RankReport report;
  report.rank = rank;
  report.host = "node";
  report.backend = BackendKind::kCuda;
  report.device = "NVIDIA Test";
  report.gpu = 0;
  report.uuid = uuid;
  report.sms = 132;
  report.total_bytes = 100 * kGiB;
  report.free_bytes = free_bytes;
  return report;
}

TEST(DivideGpus, RanksOnOneGpuShareWhatTheLastOneFoundFree) {
  RankReport cpu;
  cpu.rank = 3;
  cpu.memory_bytes = 5;
  std::vector<RankReport> ranks{gpu_rank(0, "a", 90 * kGiB), gpu_rank(1, "a", 80 * kGiB),
                                gpu_rank(2, "b", 70 * kGiB), cpu};
  divide_gpus(ranks);
  EXPECT_EQ(ranks[0].memory_bytes, 38 * kGiB);
  EXPECT_EQ(ranks[1].memory_bytes, 38 * kGiB);
  EXPECT_EQ(ranks[2].memory_bytes, 68 * kGiB);
  EXPECT_EQ(ranks[3].memory_bytes, 5);
}

TEST(DivideGpus, LimitsHold) {
  std::vector<RankReport> ranks{gpu_rank(0, "a", 90 * kGiB), gpu_rank(1, "b", 90 * kGiB)};
  ranks[0].limit_bytes = 2 * kGiB;
  ranks[1].limit_bytes = 200 * kGiB;
  divide_gpus(ranks);
  EXPECT_EQ(ranks[0].memory_bytes, 2 * kGiB - 3 * context_bytes(BackendKind::kCuda));
  EXPECT_EQ(ranks[1].memory_bytes, 88 * kGiB);
  ranks[0].limit_bytes = context_bytes(BackendKind::kCuda);
  divide_gpus(ranks);
  EXPECT_EQ(ranks[0].memory_bytes, 1);
}

TEST(FilledGpus, AreNamedOnce) {
  const std::vector<RankReport> ranks{gpu_rank(0, "a", 9 * kGiB), gpu_rank(1, "a", 9 * kGiB),
                                      gpu_rank(2, "b", 11 * kGiB)};
  const auto sentences = filled_gpus(ranks);
  ASSERT_EQ(sentences.size(), 1u);
  EXPECT_THAT(sentences[0], HasSubstr("rank 0: only 9.0 GiB of the 100 GiB of GPU 0"));
}

TEST(LeftOutUnits, AreNamedOnceForEachHost) {
  std::vector<RankReport> ranks(4);
  for (int i = 0; i < 4; ++i) ranks[i].rank = i;
  ranks[0].host = "old";
  ranks[1].host = ranks[2].host = "new";
  ranks[3].host = "newer";
  for (int i = 1; i < 4; ++i) ranks[i].left_out = "no tiles for bf16";
  EXPECT_THAT(left_out_units(ranks), testing::ElementsAre("rank 1 on new: no tiles for bf16",
                                                          "rank 3 on newer: no tiles for bf16"));
}

TEST(InventoryTable, ShowsSmsOfGpusAndThreadsOfCpus) {
  RankReport cpu;
  cpu.device = "Some CPU";
  cpu.threads = 6;
  const std::string table = describe({gpu_rank(0, "a", 9 * kGiB), cpu});
  EXPECT_THAT(table, HasSubstr("NVIDIA Test (GPU 0)"));
  EXPECT_THAT(table, HasSubstr("132 SMs"));
  EXPECT_THAT(table, HasSubstr("6 threads"));
}

}  // namespace
}  // namespace llmpq
