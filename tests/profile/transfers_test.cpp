#include "profile/transfers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmpq {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(Transfers, AllPairsOfFewRanksAndTheRingOfMany) {
  EXPECT_TRUE(pairs_to_measure(1).empty());
  EXPECT_THAT(pairs_to_measure(3), ElementsAre(Pair(0, 1), Pair(0, 2), Pair(1, 2)));
  const auto many = pairs_to_measure(kMostRanksInPairs + 1);
  EXPECT_EQ(many.size(), static_cast<size_t>(kMostRanksInPairs + 1));
  EXPECT_THAT(many[1], Pair(0, kMostRanksInPairs));
}

TEST(Transfers, CopiesOfABackendHaveASpeed) {
  const auto backend = make_cpu_backend(1, "auto");
  const DeviceTransfer transfer = measure_copies(*backend);
  EXPECT_GT(transfer.to_host_gbps, 0);
  EXPECT_GT(transfer.to_device_gbps, 0);
}

}  // namespace
}  // namespace llmpq
