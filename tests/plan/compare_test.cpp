// The table of all planners, and its JSON.
#include "plan/compare.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/timer.hpp"
#include "problem_case.hpp"

namespace llmpq {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A problem in which joint finds a plan and uniform none: a device of which nothing fits.
Problem lopsided() {
  Problem problem;
  problem.name = "lopsided";
  problem.layers = 4;
  problem.formats = {"bf16", "w8"};
  problem.layer_bytes = {{16, 8}};
  problem.omega.assign(4, {0, 1});
  problem.prefill_tokens = {64};
  problem.decode_sequences = {4};
  problem.kinds = {{"gpu", {{{1}, {1}}}, {{{0.5}, {0.25}}}, {0}, {0}, {0}, {0}}};
  problem.groups = {{"large", 0, {0}, 48}, {"small", 0, {1}, 4}};
  problem.links = {{{0, 0}, {0, 0}}, {{0, 0}, {0, 0}}, 0, false};
  Batching row;
  row.in_flight = 2;
  row.prefill_sum = 1;
  row.decode_sum = 1;
  row.decode_max = 2;
  row.kv_bytes_per_layer = {0};
  problem.batchings = {row};
  return problem;
}

TEST(Compare, TableAndJsonTellWhatIsKnown) {
  Problem problem = lopsided();
  Comparison comparison = compare(problem, {0, 10, steady_seconds});
  ASSERT_EQ(comparison.plans.size(), kPlanners.size());
  std::string table = describe(problem, comparison);
  for (const char* part : {"lopsided: 4 layers, 2 devices", "gap %", "2 x 4", "32 B", "67%",
                           "uniform: no plan, because equal stages keep the rules in no format"})
    EXPECT_THAT(table, HasSubstr(part));
  for (const char* unknown : {"tokens/s", "simulated", "objective s", "omega at most"})
    EXPECT_THAT(table, Not(HasSubstr(unknown)));
  comparison.output_tokens = 100;
  comparison.plans[0].simulated_s = 8;
  problem.theta = 1;
  table = describe(problem, comparison);
  for (const char* known : {"tokens/s", "simulated s", "12.5", "objective s"})
    EXPECT_THAT(table, HasSubstr(known));

  const auto json = nlohmann::json::parse(to_json(problem, comparison));
  EXPECT_TRUE(json.at("max_omega").is_null());
  const auto& joint = json.at("plans").at(0);
  EXPECT_EQ(joint.at("strategy"), "joint");
  EXPECT_EQ(joint.at("simulated_tokens_per_s"), 12.5);
  EXPECT_EQ(joint.at("stages").at(0).at("formats").size(), 4u);
  EXPECT_EQ(joint.at("average_bits"), 8);
  const auto& uniform = json.at("plans").at(1);
  EXPECT_FALSE(uniform.at("found").get<bool>());
  EXPECT_FALSE(uniform.contains("time_s"));
}

TEST(Compare, BitsOfFormatsThatHaveSome) {
  Problem problem = lopsided();
  const Assignment assignment{0, {{0, 0, 4, {0, 1, 1, 1}}}};
  EXPECT_EQ(average_bits(problem, assignment), 10);
  problem.formats = {"bf16", "q5"};
  EXPECT_EQ(average_bits(problem, assignment), std::nullopt);
}

}  // namespace
}  // namespace llmpq
