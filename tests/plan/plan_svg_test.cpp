// The picture of a plan shows what the plan has.
#include "plan/plan_svg.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/timer.hpp"
#include "problem_case.hpp"

namespace llmpq {
namespace {

using testing::HasSubstr;
using testing::Not;

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

PlanPicture two_stages() {
  PlanPicture picture;
  picture.title = "A <model>";
  picture.subtitle = "interleaved";
  picture.layers = 4;
  picture.formats = {"bf16", "w4", "own"};
  picture.stages = {{"V100", 1, 0, 3, {0, 0, 1}, 2, 6, 90, 100},
                    {"T4", 0, 3, 4, {2}, 1, 1, 10, 10}};
  picture.idle = {"rank 2 (T4)"};
  return picture;
}

TEST(PlanSvg, ABoxForEachLayerAndBarsToScale) {
  const std::string svg = plan_svg(two_stages());
  EXPECT_EQ(count(svg, "<rect class=\"f16\""), 2u + 1u);  // and the legend
  EXPECT_EQ(count(svg, "<rect class=\"f4\""), 1u + 1u);
  EXPECT_EQ(count(svg, "<rect class=\"g2\""), 1u + 1u);
  EXPECT_EQ(count(svg, "<rect class=\"full\""), 1u + 1u);  // the T4's memory
  for (const char* part : {"A &lt;model&gt;", "busy, of 8 s", "<title>decode 6 s</title>",
                           "idle: rank 2 (T4)", "<title>layer 2: w4</title>", ">prefill</text>"})
    EXPECT_THAT(svg, HasSubstr(part));
}

TEST(PlanSvg, MixedStepsAreOfOneKindAndThinLayersOneBox) {
  PlanPicture picture = two_stages();
  picture.mixed = true;
  picture.idle.clear();
  picture.layers = 200;
  picture.stages = {{"A", 0, 0, 200, std::vector<int>(200, 1), 0, 1, 1, 10}};
  const std::string svg = plan_svg(picture);
  EXPECT_EQ(count(svg, "<rect class=\"f4\""), 2u);
  EXPECT_THAT(svg, HasSubstr("steps of both phases"));
  EXPECT_THAT(svg, Not(HasSubstr("idle")));
}

TEST(PlanSvg, FromAProblemsPlan) {
  int stages = 0;
  for (int seed = 500; seed < 540; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    const Planned planned = plan_by(Planner::kJoint, problem, {0, 10, steady_seconds});
    if (!planned.found) continue;
    const PlanPicture picture = picture_of(problem, planned);
    int layers = 0;
    for (const PlanPicture::Stage& stage : picture.stages) {
      EXPECT_LE(stage.bytes, stage.budget_bytes);
      layers += stage.end - stage.begin;
    }
    EXPECT_EQ(layers, problem.layers);
    EXPECT_EQ(picture.idle.size() + picture.stages.size(), static_cast<size_t>(problem.devices()));
    stages += static_cast<int>(picture.stages.size());
    EXPECT_THAT(plan_svg(picture), HasSubstr("</svg>"));
  }
  EXPECT_GT(stages, 20);
}

}  // namespace
}  // namespace llmpq
