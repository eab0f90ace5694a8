// Baselines' plans for a job: they can be run, keep the quality that joint set, and are simulated
// as joint's is.
#include "plan/baseline_jobs.hpp"

#include <gmock/gmock.h>

#include "gpus_case.hpp"

namespace llmpq {
namespace {

const OptimizeOptions kOptions{0.005, 10, steady_seconds};

void expect_promise(const Gpus& gpus, Planner planner, const BaselineJob& job) {
  ASSERT_TRUE(job.made) << name(planner) << ": " << job.planned.note;
  const Plan& plan = job.made->plan;
  EXPECT_EQ(plan.figures.strategy, name(planner));
  EXPECT_EQ(layer_formats(plan).size(), 8u);
  expect_fits(gpus.request, plan);
  const SimulationResult again = predict(plan, gpus.request, gpus.data);
  EXPECT_EQ(*plan.figures.simulated_s, again.seconds) << name(planner);
  EXPECT_GE(*plan.figures.objective, *plan.figures.lower_bound * (1 - 1e-9)) << name(planner);
}

TEST(BaselineJobs, EveryPlannerKeepsTheQualityThatWasChosen) {
  Gpus gpus(kShort);
  gpus.data.omega.assign(8, {0, 0, 1, 4, 16});
  gpus.data.max_omega = 20;
  gpus.data.quality.emplace();
  gpus.data.quality->loss_increase.assign(8, {0, 0, 0.001, 0.004, 0.016});
  const auto joint = gpus.plan();
  ASSERT_TRUE(joint);
  for (const Planner planner : kPlanners) {
    if (planner == Planner::kJoint) continue;
    const auto job = plan_baseline(planner, gpus.request, gpus.data, *joint, kOptions);
    expect_promise(gpus, planner, job);
    if (!job.made) continue;
    const double omega = sum_at(gpus.data.omega, layer_formats(job.made->plan));
    EXPECT_LE(omega, 20) << name(planner);
    EXPECT_DOUBLE_EQ(*job.made->plan.figures.omega, omega);
    EXPECT_TRUE(job.made->plan.figures.perplexity_increase) << name(planner);
  }
}

TEST(BaselineJobs, WithoutAWishTheFormatsAreThoseThatFit) {
  const Gpus gpus(kPlenty);
  const auto joint = gpus.plan();
  ASSERT_TRUE(joint);
  for (const Planner planner : {Planner::kUniform, Planner::kPipeEdge, Planner::kAdaBits}) {
    const auto job = plan_baseline(planner, gpus.request, gpus.data, *joint, kOptions);
    expect_promise(gpus, planner, job);
    EXPECT_TRUE(job.made && all_are(job.made->plan, Format::kF16)) << name(planner);
  }
}

TEST(BaselineJobs, TheComparisonHasThePlansThatWouldBeRun) {
  const Gpus gpus(kPlenty);
  const auto joint = gpus.plan();
  ASSERT_TRUE(joint);
  const Comparison all = compare(gpus.request, gpus.data, *joint, kOptions);
  ASSERT_EQ(all.plans.size(), kPlanners.size());
  EXPECT_EQ(all.output_tokens, 500 * 21);
  EXPECT_EQ(all.plans[0].simulated_s, joint->plan.figures.simulated_s);
  const auto pipeedge =
      plan_baseline(Planner::kPipeEdge, gpus.request, gpus.data, *joint, kOptions);
  ASSERT_TRUE(pipeedge.made);
  EXPECT_EQ(all.plans[2].planned.planner, Planner::kPipeEdge);
  EXPECT_EQ(all.plans[2].simulated_s, pipeedge.made->plan.figures.simulated_s);
}

}  // namespace
}  // namespace llmpq
