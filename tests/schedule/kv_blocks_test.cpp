#include "schedule/kv_blocks.hpp"

#include <gtest/gtest.h>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

TEST(KvBlocks, GivesEachBlockOnceInAFixedOrder) {
  KvBlocks blocks(3);
  EXPECT_EQ(blocks.take(), 0);
  EXPECT_EQ(blocks.take(), 1);
  EXPECT_EQ(blocks.take(), 2);
  EXPECT_EQ(blocks.free(), 0);
  EXPECT_THROW(blocks.take(), Error);
  blocks.release(1);
  blocks.release(0);
  EXPECT_EQ(blocks.take(), 0);
  EXPECT_EQ(blocks.take(), 1);
}

TEST(KvBlocks, ASharedBlockIsFreeAfterItsLastUser) {
  KvBlocks blocks(1);
  const int32_t block = blocks.take();
  blocks.share(block);
  blocks.release(block);
  EXPECT_EQ(blocks.free(), 0);
  blocks.release(block);
  EXPECT_EQ(blocks.free(), 1);
  EXPECT_THROW(blocks.release(block), Error);
  EXPECT_THROW(blocks.share(block), Error);
}

TEST(KvBlocks, NoBlocksAreRefused) { EXPECT_THROW(KvBlocks(0), Error); }

}  // namespace
}  // namespace llmpq
