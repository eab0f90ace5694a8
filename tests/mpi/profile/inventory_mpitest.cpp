#include "profile/inventory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cpu/thread_pool.hpp"
#include "mpi_test_main.hpp"

namespace llmpq {
namespace {

TEST(Inventory, EveryRankKnowsAllRanksInOrder) {
  const Mpi& mpi = test_mpi();
  RankReport mine = report_rank(mpi, {});
  mine.device = "device " + std::to_string(mpi.rank());
  const auto inventory = gather_inventory(mpi, mine);
  ASSERT_EQ(inventory.size(), static_cast<size_t>(mpi.size()));
  for (int rank = 0; rank < mpi.size(); ++rank) {
    const RankReport& report = inventory[static_cast<size_t>(rank)];
    EXPECT_EQ(report.rank, rank);
    EXPECT_EQ(report.host, mpi.host()) << "one host here";
    EXPECT_EQ(report.device, "device " + std::to_string(rank));
  }
  EXPECT_THAT(describe(inventory), testing::HasSubstr("device 0"));
}

TEST(Inventory, RanksOfAHostDivideItsThreadsAndMemory) {
  const Mpi& mpi = test_mpi();
  const RankReport mine = report_rank(mpi, {});
  EXPECT_GE(mine.threads, 1);
  EXPECT_LE(mine.threads, usable_cpus());
  EXPECT_GT(mine.memory_bytes, 0);
  int64_t sum = 0;
  for (const RankReport& report : gather_inventory(mpi, mine)) sum += report.memory_bytes;
  // Free memory moves between the ranks' looks at it, by less than a tenth.
  EXPECT_LT(static_cast<double>(sum), 1.1 * mine.memory_bytes * mpi.size());
}

TEST(Inventory, LimitsByHandHold) {
  const RankReport mine = report_rank(test_mpi(), {.threads = 3, .memory_bytes = 1000});
  EXPECT_EQ(mine.threads, 3);
  EXPECT_EQ(mine.memory_bytes, 1000);
}

}  // namespace
}  // namespace llmpq
