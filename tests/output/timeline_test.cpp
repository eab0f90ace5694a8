#include "output/timeline.hpp"

#include <gtest/gtest.h>

namespace llmpq {
namespace {

std::vector<TraceEvent> two_ranks() {
  return {{"prefill 64", "prefill", 0, 0, 0, 10.000, 10.003},
          {"prefill 64", "transfer", 0, 1, 0, 10.003, 10.004},
          {"decode 8 lane 0", "decode", 0, 0, 1, 10.003, 10.006},
          {"prefill 64", "prefill", 1, 0, 0, 10.004, 10.007}};
}

TEST(Timeline, SurvivesTheWire) {
  const auto events = unpack_events(pack_events(two_ranks()));
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[1].category, "transfer");
  EXPECT_EQ(events[2].name, "decode 8 lane 0");
  EXPECT_DOUBLE_EQ(events[3].end_s, 10.007);
}

TEST(Timeline, CountsFromTheOrigin) {
  const std::string text = timeline_text(two_ranks(), 2, 10.0);
  EXPECT_NE(text.find("     4.000      7.000     1       0  prefill 64\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("     3.000      4.000     0       0  send prefill 64\n"), std::string::npos)
      << text;
}

TEST(Timeline, DrawsComputingAndTransfersOfEachRank) {
  // Slices are a third of the mean step: 1 ms.
  const std::string text = timeline_text(two_ranks(), 2, 10.0);
  EXPECT_NE(text.find("rank   0 |PPPDDD..|"), std::string::npos) << text;
  EXPECT_NE(text.find("rank   1 |....PPP.|"), std::string::npos) << text;
  EXPECT_NE(text.find("    send |   =    |"), std::string::npos) << text;
}

TEST(Timeline, OfNothingIsEmpty) { EXPECT_FALSE(timeline_text({}, 1, 0).empty()); }

}  // namespace
}  // namespace llmpq
