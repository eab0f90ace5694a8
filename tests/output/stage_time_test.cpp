#include "output/stage_time.hpp"

#include <gtest/gtest.h>

#include "pipeline/timeline.hpp"

namespace llmpq {
namespace {

TraceEvent event(const char* category, int rank, double begin_s, double end_s) {
  TraceEvent e;
  e.category = category;
  e.rank = rank;
  const std::string kind = category;
  e.track = kind == "transfer" ? kSending : kind == "wait" ? kWaiting : kComputing;
  e.begin_s = begin_s;
  e.end_s = end_s;
  return e;
}

TEST(StageTime, BusyLinkAndBubbleAddUpToTheRun) {
  // Stage 0 on rank 3, stage 1 on rank 1. Rank 3 sends [12, 14); rank 1 computes from 13.
  const std::vector<TraceEvent> events{event("prefill", 3, 10, 12),  event("transfer", 3, 12, 14),
                                       event("decode", 3, 12, 13),   event("prefill", 1, 13, 16),
                                       event("transfer", 1, 16, 17), event("mixed", 3, 16.5, 18),
                                       event("wait", 3, 10, 20)};
  const auto times = stage_times(events, {3, 1}, 10, 20);
  ASSERT_EQ(times.size(), 2u);
  EXPECT_DOUBLE_EQ(times[0].busy_s.prefill, 2);
  EXPECT_DOUBLE_EQ(times[0].busy_s.decode, 1);
  EXPECT_DOUBLE_EQ(times[0].busy_s.mixed, 1.5);
  EXPECT_DOUBLE_EQ(times[0].link_s, 0.5) << "tokens on their way back, [16, 16.5)";
  EXPECT_DOUBLE_EQ(times[0].bubble_s, 5);
  EXPECT_DOUBLE_EQ(times[1].busy_s.sum(), 3);
  EXPECT_DOUBLE_EQ(times[1].link_s, 1) << "[12, 13); after it the transfer is hidden";
  EXPECT_DOUBLE_EQ(times[1].bubble_s, 6);
}

TEST(StageTime, TransfersThatOverlapCountOnceAndOnlyWithinTheRun) {
  const std::vector<TraceEvent> events{event("transfer", 0, 0, 3), event("transfer", 0, 2, 4),
                                       event("transfer", 0, 3, 9), event("decode", 1, 5, 6),
                                       event("decode", 1, 7, 12)};
  const auto times = stage_times(events, {0, 1}, 1, 8);
  EXPECT_DOUBLE_EQ(times[1].busy_s.decode, 2);
  EXPECT_DOUBLE_EQ(times[1].link_s, 5) << "[1, 5) and [6, 7)";
  EXPECT_DOUBLE_EQ(times[1].bubble_s, 0);
}

TEST(StageTime, OneStageWaitsForItsOwnTokens) {
  const std::vector<TraceEvent> events{event("decode", 0, 0, 2), event("transfer", 0, 2, 2.5)};
  const auto times = stage_times(events, {0}, 0, 4);
  EXPECT_DOUBLE_EQ(times[0].link_s, 0.5);
  EXPECT_DOUBLE_EQ(times[0].bubble_s, 1.5);
}

}  // namespace
}  // namespace llmpq
