// Strategy joint on a small model and three GPUs: the order of qualities, the wishes, the figures,
// and the simulator's word.
#include "plan/joint.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/expect_error.hpp"
#include "gpus_case.hpp"
#include "layer/memory.hpp"
#include "plan/assigned_plan.hpp"

namespace llmpq {
namespace {

TEST(Joint, SixteenBitsWhereTheyFit) {
  const Gpus gpus(kPlenty);
  const auto joint = gpus.plan();
  ASSERT_TRUE(joint);
  EXPECT_TRUE(all_are(joint->plan, Format::kF16));
  EXPECT_HAS(joint->reason, "f16 for all layers, because nobody asked for fewer bits, and it fits");
}

TEST(Joint, FiguresAreOfThePlan) {
  const Gpus gpus(kPlenty);
  const auto joint = gpus.plan();
  ASSERT_TRUE(joint);
  const PlanFigures& figures = joint->plan.figures;
  EXPECT_EQ(figures.problem, "three");
  EXPECT_DOUBLE_EQ(*figures.simulated_s, predict(joint->plan, gpus.request, gpus.data).seconds);
  EXPECT_LE(*figures.lower_bound, *figures.objective);
  EXPECT_EQ(*figures.omega, 0);
  EXPECT_EQ(*figures.time_s, *figures.objective);
  const Batching& row = joint->problem.batchings.at(static_cast<size_t>(*figures.batching));
  EXPECT_EQ(row.mix, joint->plan.mix);
  EXPECT_EQ(row.in_flight, joint->plan.lanes);
  for (const StagePlan& stage : joint->plan.pipelines[0].stages) {
    EXPECT_GT(*stage.prefill_s, 0);
    EXPECT_GT(*stage.decode_s, 0);
  }
  expect_fits(gpus.request, joint->plan);
}

/// The plan is not slower, in simulation, than the best by formula.
TEST(Joint, TheSimulatorHasTheLastWord) {
  const Gpus gpus(kPlenty);
  const auto joint = gpus.plan();
  ASSERT_TRUE(joint);
  MadeProblem made = make_problem(gpus.request, gpus.data);
  made.problem = joint->problem;
  const Optimum optimum = optimize(made.problem, {0.005, 10, steady_seconds});
  const Plan formula = assigned_plan(gpus.request, made, optimum.assignment, optimum.score);
  EXPECT_LE(*joint->plan.figures.simulated_s, predict(formula, gpus.request, gpus.data).seconds);
}

TEST(Joint, HighestUniformBitsWithoutAnIndicator) {
  const auto joint = Gpus(kShort).plan();
  ASSERT_TRUE(joint);
  EXPECT_TRUE(all_are(joint->plan, Format::kW8)) << joint->reason;
  EXPECT_HAS(joint->reason, "w8 for all layers, because f16 does not fit");
}

TEST(Joint, SmallestOmegaWithAnIndicator) {
  Gpus gpus(kShort);
  // The first layers suffer a hundred times as much as the others.
  for (int i = 0; i < 8; ++i) {
    const double each = i < 2 ? 1 : 0.01;
    ByFormat omega{};
    omega[static_cast<size_t>(Format::kW8)] = each;
    omega[static_cast<size_t>(Format::kW4)] = 16 * each;
    omega[static_cast<size_t>(Format::kW3)] = 64 * each;
    gpus.data.omega.push_back(omega);
  }
  const auto joint = gpus.plan(0);
  ASSERT_TRUE(joint);
  const auto formats = layer_formats(joint->plan);
  EXPECT_EQ(formats[0], Format::kF16);
  EXPECT_EQ(formats[1], Format::kF16);
  EXPECT_DOUBLE_EQ(*joint->plan.figures.omega, sum_at(gpus.data.omega, formats));
  EXPECT_LT(*joint->plan.figures.omega, 2.06) << "of w8 for all layers";
  EXPECT_HAS(joint->reason, "the smallest sum of omega that fits");
  expect_fits(gpus.request, joint->plan);
}

TEST(Joint, AWishLowersBitsForSpeed) {
  Gpus gpus(kPlenty);
  gpus.data.omega.assign(8, {0, 0, 1, 2, 4});
  for (DeviceProfile& device : gpus.data.profiles)
    for (double& seconds : device.model.layer.at(Format::kW4).seconds) seconds /= 2;
  gpus.data.max_omega = 12;
  const auto bounded = gpus.plan();
  ASSERT_TRUE(bounded);
  EXPECT_LE(*bounded->plan.figures.omega, 12);
  EXPECT_FALSE(all_are(bounded->plan, Format::kF16));
  gpus.data.max_omega.reset();
  gpus.data.theta = 1e6;
  EXPECT_TRUE(all_are(gpus.plan()->plan, Format::kF16)) << "quality is too dear to be given up";
}

TEST(Joint, WhatIsFixedByHandHolds) {
  Gpus gpus(kPlenty);
  gpus.request.wishes.layers_per_stage = {1, 5, 2};
  gpus.request.wishes.formats.assign(8, Format::kW8);
  gpus.request.wishes.formats[3] = Format::kW3;
  gpus.request.wishes.mix = Mix::kMixed;
  gpus.request.wishes.lanes = 2;
  const auto joint = gpus.plan();
  ASSERT_TRUE(joint);
  EXPECT_EQ(layer_counts(joint->plan), "1,5,2");
  for (int stage = 0; stage < 3; ++stage)
    EXPECT_EQ(joint->plan.pipelines[0].stages[static_cast<size_t>(stage)].ranks,
              std::vector<int>{stage});
  EXPECT_EQ(layer_formats(joint->plan), gpus.request.wishes.formats);
  EXPECT_EQ(joint->plan.mix, Mix::kMixed);
  EXPECT_EQ(joint->plan.lanes, 2);
  gpus.request.wishes.layers_per_stage = {1, 5};
  EXPECT_ERROR(gpus.plan(), Exit::kUsage, "adds up to 6, the model has 8 layers");
}

TEST(Joint, LongestOutputsHaveRoom) {
  Gpus gpus(kPlenty);
  gpus.data.lengths = {{100, 10, 2, 300}};
  gpus.request.workload = {2, 400};
  const auto joint = gpus.plan();
  ASSERT_TRUE(joint);
  EXPECT_GE(joint->plan.kv_blocks, 400 / 16);
  EXPECT_EQ(joint->predicted.failed_rows, 0);
}

TEST(Joint, NothingFits) {
  EXPECT_FALSE(Gpus(100).plan());
  Gpus gpus(kShort);
  gpus.data.omega.assign(8, {0, 0, 1, 2, 4});
  gpus.data.max_omega = 0;
  EXPECT_FALSE(gpus.plan());
}

TEST(Joint, NoTimeIsNotNoPlan) {
  const Gpus gpus(kPlenty);
  EXPECT_ERROR(plan_jointly(gpus.request, gpus.data, {0.005, 0, steady_seconds}), Exit::kNoPlan,
               "no plan was found within 0.0 s; there may be one");
}

}  // namespace
}  // namespace llmpq
