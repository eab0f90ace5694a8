#include "pipeline/made_feed.hpp"

#include <gtest/gtest.h>

#include <set>

namespace llmpq {
namespace {

MadeFeedSetup setup_of(uint64_t seed) {
  MadeFeedSetup setup;
  setup.lengths = {{5, 3}, {1, 7}, {200, 1}};
  setup.vocab = 50;
  setup.seed = seed;
  setup.sampling.temperature = 0.5f;
  setup.sampling.max_tokens = 99;
  return setup;
}

TEST(MadeFeed, RowsHaveTheirLengths) {
  MadeFeed feed(setup_of(1));
  const FeedBatch batch = feed.read(10);
  ASSERT_EQ(batch.requests.size(), 3u);
  EXPECT_TRUE(feed.at_end());
  EXPECT_TRUE(batch.failed.empty());
  EXPECT_EQ(batch.requests[0].prompt.size(), 5u);
  EXPECT_EQ(batch.requests[1].sampling.max_tokens, 7);
  EXPECT_EQ(batch.requests[1].row, 1);
  EXPECT_TRUE(batch.requests[2].sampling.ignore_eos);
  EXPECT_EQ(batch.requests[2].sampling.temperature, 0.5f);
  const auto& tokens = batch.requests[2].prompt;
  ASSERT_EQ(tokens.size(), 200u);
  const std::set<int32_t> seen(tokens.begin(), tokens.end());
  EXPECT_GT(seen.size(), 25u) << "all of the vocabulary";
  EXPECT_GE(*seen.begin(), 0);
  EXPECT_LT(*seen.rbegin(), 50);
}

TEST(MadeFeed, TokensFollowTheSeedAndNotTheReading) {
  MadeFeed one(setup_of(1)), again(setup_of(1)), other(setup_of(2));
  const FeedBatch all = one.read(3);
  again.read(2);
  EXPECT_FALSE(again.at_end());
  EXPECT_EQ(again.read(2).requests.at(0).prompt, all.requests[2].prompt);
  EXPECT_NE(other.read(3).requests[2].prompt, all.requests[2].prompt);
}

}  // namespace
}  // namespace llmpq
