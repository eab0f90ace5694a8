#include "output/gantt.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/timeline.hpp"

namespace llmpq {
namespace {

using testing::HasSubstr;
using testing::Not;

TraceEvent event(const char* category, int rank, double begin_s, double end_s) {
  TraceEvent e;
  e.name = std::string(category) + " 64";
  e.category = category;
  e.rank = rank;
  e.track = e.category == "transfer" ? kSending : kComputing;
  e.step = 7;
  e.begin_s = begin_s;
  e.end_s = end_s;
  return e;
}

size_t count(const std::string& text, const std::string& what) {
  size_t found = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST(Gantt, HasALineForEachStageAndABarForEachStep) {
  const GanttChart chart{"tiny & co",
                         {2, 0},
                         10,
                         10.1,
                         {event("prefill", 2, 10, 10.05), event("transfer", 2, 10.05, 10.06),
                          event("decode", 0, 10.06, 10.1), event("mixed", 5, 10, 10.1)}};
  const std::string svg = gantt_svg(chart);
  EXPECT_THAT(svg, HasSubstr("tiny &amp; co"));
  EXPECT_THAT(svg, HasSubstr("stage 1"));
  EXPECT_THAT(svg, HasSubstr("rank 2"));
  EXPECT_EQ(count(svg, "prefill 64, step 7: 50.000 ms"), 1u);
  EXPECT_EQ(count(svg, "transfer 64, step 7: 10.000 ms"), 1u);
  EXPECT_THAT(svg, Not(HasSubstr("mixed 64"))) << "rank 5 has no stage";
  EXPECT_THAT(svg, HasSubstr("100 ms"));
  EXPECT_THAT(svg, Not(HasSubstr("the first")));
}

TEST(Gantt, ShowsTheBeginningOfALongRun) {
  GanttChart chart{"", {0}, 0, 10, {}};
  for (size_t i = 0; i < 2 * kMostBars; ++i)
    chart.events.push_back(
        event("decode", 0, 10.0 * i / (2 * kMostBars), 10.0 * (i + 1) / (2 * kMostBars)));
  const std::string svg = gantt_svg(chart);
  EXPECT_THAT(svg, HasSubstr("the first 5 of 10 s"));
  EXPECT_EQ(count(svg, "decode 64"), kMostBars);
}

TEST(Gantt, OfNothingIsAPicture) {
  EXPECT_THAT(gantt_svg({"nothing", {0}, 3, 3, {}}), HasSubstr("</svg>"));
}

}  // namespace
}  // namespace llmpq
