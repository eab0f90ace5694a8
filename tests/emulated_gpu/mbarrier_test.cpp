#include "mbarrier.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace llmpq::emulated {
namespace {

Mbarrier barrier_of(int arrivals) {
  Mbarrier barrier;
  EXPECT_EQ(barrier.init(arrivals), nullptr);
  return barrier;
}

TEST(EmulatedMbarrier, NewOneIsInPhase0AndParity1HasEnded) {
  const Mbarrier barrier = barrier_of(2);
  EXPECT_FALSE(barrier.has_ended(0));
  EXPECT_TRUE(barrier.has_ended(1));
}

TEST(EmulatedMbarrier, ArrivalsEndPhaseAfterPhase) {
  Mbarrier barrier = barrier_of(2);
  for (const uint32_t parity : {0u, 1u, 0u}) {
    EXPECT_EQ(barrier.arrive(), nullptr);
    EXPECT_FALSE(barrier.has_ended(parity));
    EXPECT_EQ(barrier.arrive(), nullptr);
    EXPECT_TRUE(barrier.has_ended(parity));
    EXPECT_FALSE(barrier.has_ended(parity ^ 1));
  }
}

TEST(EmulatedMbarrier, PhaseWaitsForItsBytes) {
  Mbarrier barrier = barrier_of(1);
  EXPECT_EQ(barrier.expect(4096), nullptr);
  EXPECT_EQ(barrier.arrive(), nullptr);
  EXPECT_EQ(barrier.complete(4080), nullptr);
  EXPECT_FALSE(barrier.has_ended(0));
  EXPECT_EQ(barrier.complete(16), nullptr);
  EXPECT_TRUE(barrier.has_ended(0));
}

TEST(EmulatedMbarrier, BytesMayComeBeforeTheyAreExpected) {
  Mbarrier barrier = barrier_of(1);
  EXPECT_EQ(barrier.complete(512), nullptr);
  EXPECT_FALSE(barrier.has_ended(0));
  EXPECT_EQ(barrier.expect(1024), nullptr);
  EXPECT_EQ(barrier.arrive(), nullptr);
  EXPECT_FALSE(barrier.has_ended(0));
  EXPECT_EQ(barrier.complete(512), nullptr);
  EXPECT_TRUE(barrier.has_ended(0));
}

TEST(EmulatedMbarrier, WrongUseHasASentence) {
  Mbarrier barrier = barrier_of(1);
  EXPECT_STREQ(barrier.init(0), "a barrier wants 1 to 2^20 - 1 arrivals");
  EXPECT_STREQ(barrier.init(1 << 20), "a barrier wants 1 to 2^20 - 1 arrivals");
  EXPECT_EQ(barrier.expect(16), nullptr);
  EXPECT_EQ(barrier.arrive(), nullptr);
  EXPECT_STREQ(barrier.arrive(),
               "a barrier's phase gets more arrivals than it was initialized with");
  EXPECT_STREQ(barrier.expect(1 << 20), "a barrier counts at most 2^20 - 1 bytes");
}

TEST(EmulatedMbarrier, MemoryIsABarrierOnlyAfterInitAndShownOnlyAfterItsFence) {
  Mbarrier barrier;
  std::memset(static_cast<void*>(&barrier), 0xff, sizeof barrier);
  EXPECT_STREQ(barrier.check(false), "there is no initialized barrier");
  EXPECT_STREQ(barrier.show(), "there is no initialized barrier");
  barrier = barrier_of(1);
  EXPECT_EQ(barrier.check(false), nullptr);
  EXPECT_STREQ(barrier.check(true),
               "a barrier is used by a copy or another block without fence.mbarrier_init");
  EXPECT_EQ(barrier.show(), nullptr);
  EXPECT_EQ(barrier.check(true), nullptr);
}

}  // namespace
}  // namespace llmpq::emulated
