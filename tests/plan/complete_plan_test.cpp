// Plans from a file: what is wrong with them, what they leave open, and whether they fit.
#include <gtest/gtest.h>

#include "plan/describe.hpp"
#include "plan/plan_json.hpp"
#include "plan_fixture.hpp"

namespace llmpq {
namespace {

constexpr int64_t kPlenty = 1 << 20;  // KiB

Plan plan_of(std::vector<StagePlan> stages) {
  Plan plan;
  plan.model = "small";
  plan.pipelines.push_back({true, true, std::move(stages)});
  return plan;
}

StagePlan stage_of(int rank, int64_t begin, int64_t end, Format format = Format::kW8) {
  return {{rank},
          begin,
          end,
          std::vector<Format>(static_cast<size_t>(end - begin), format),
          std::nullopt,
          std::nullopt,
          0};
}

TEST(CompletePlan, ChoosesWhatTheFileLeavesOpen) {
  const PlanCase c;
  auto request = c.request({kPlenty, kPlenty, kPlenty});
  Plan file = plan_of({stage_of(2, 0, 5), stage_of(0, 5, 8, Format::kW4)});
  file.lanes = 5;
  request.wishes.decode_batch = 9;
  const PlanResult result = complete_plan(request, file);
  const Plan& plan = result.plan;
  EXPECT_EQ(layer_counts(plan), "5,3");
  EXPECT_EQ(plan.pipelines[0].stages[0].ranks, std::vector<int>{2});
  EXPECT_EQ(plan.lanes, 5);
  EXPECT_EQ(plan.decode_batch, 9);
  EXPECT_EQ(plan.prefill_tokens, 256);
  EXPECT_EQ(plan.kv_blocks, 6 * 9 * 19);
  EXPECT_HAS(result.reason, "from a file: w8 x5, w4 x3");
  expect_fits(request, plan);
  const std::string text = describe(request, plan);
  EXPECT_HAS(text, "small: 8 layers on 2 stages, interleaved");
  EXPECT_HAS(text, "[0, 5)");
  EXPECT_HAS(text, "w8 x5");
  EXPECT_HAS(text, "rank 1 (cpu on a) idles: it has no stage");
}

TEST(CompletePlan, APlanOfOursComesBackUnchanged) {
  const PlanCase c;
  const auto request = c.request({8000, 9000, 30000});
  const Plan plan = solve(request, Strategy::kJoint).plan;
  const Plan again = complete_plan(request, parse_plan(to_json(plan), "p.json")).plan;
  EXPECT_EQ(to_json(again), to_json(plan));
}

std::string refusal(Exit code, const Plan& plan, std::vector<int64_t> kib = {kPlenty, kPlenty}) {
  const PlanCase c;
  const auto request = c.request(kib);
  return error_of(code, [&] { complete_plan(request, plan); });
}

TEST(CompletePlan, APlanForAnotherModelIsRefused) {
  Plan plan = plan_of({stage_of(0, 0, 8)});
  plan.model = "opt-30b";
  EXPECT_HAS(refusal(Exit::kModel, plan),
             "the plan is for model 'opt-30b', this job's model is 'small'");
  plan = plan_of({stage_of(0, 0, 5)});
  EXPECT_HAS(refusal(Exit::kModel, plan), "the plan is for a model of 5 layers, small has 8");
}

TEST(CompletePlan, ContradictionsAreRefused) {
  EXPECT_HAS(refusal(Exit::kUsage, plan_of({stage_of(0, 0, 4), stage_of(1, 5, 8)})),
             "stage 1 of the plan has layers [5, 8), want a range that begins at 4");
  EXPECT_HAS(refusal(Exit::kUsage, plan_of({stage_of(0, 0, 4), stage_of(1, 3, 8)})),
             "stage 1 of the plan has layers [3, 8), want a range that begins at 4");
  EXPECT_HAS(refusal(Exit::kUsage, plan_of({stage_of(0, 1, 8)})), "want a range that begins at 0");
  EXPECT_HAS(refusal(Exit::kUsage, plan_of({stage_of(0, 0, 4), stage_of(0, 4, 8)})),
             "rank 0 has two stages of the plan, 0 and 1; want one at most");
  EXPECT_HAS(refusal(Exit::kUsage, plan_of({stage_of(0, 0, 4), stage_of(2, 4, 8)})),
             "stage 1 of the plan is for rank 2, this job has ranks 0 to 1: start it with 3 ranks");
  Plan plan = plan_of({stage_of(0, 0, 8)});
  plan.pipelines[0].stages[0].ranks = {0, 1};
  EXPECT_HAS(refusal(Exit::kUsage, plan),
             "stage 0 of the plan has 2 ranks, this version wants one");
  plan = plan_of({stage_of(0, 0, 8)});
  plan.pipelines[0].stages[0].formats.pop_back();
  EXPECT_HAS(refusal(Exit::kUsage, plan), "stage 0 of the plan has 7 formats for 8 layers");
  plan = plan_of({stage_of(0, 0, 8)});
  plan.pipelines.push_back(plan.pipelines[0]);
  EXPECT_HAS(refusal(Exit::kUsage, plan),
             "the plan has 2 pipelines, this version runs exactly one");
  plan = plan_of({stage_of(0, 0, 8)});
  plan.pipelines[0].decode = false;
  EXPECT_HAS(refusal(Exit::kUsage, plan), "the plan's pipeline serves prefill only");
  plan = plan_of({stage_of(0, 0, 8)});
  plan.kv_block_tokens = 32;
  EXPECT_HAS(refusal(Exit::kUsage, plan), "the plan has KV blocks of 32 tokens, want 16");
  plan = plan_of({stage_of(0, 0, 8)});
  plan.head_format = Format::kW4;
  EXPECT_HAS(refusal(Exit::kUsage, plan),
             "the plan's head_format is w4, want a 16-bit format or w8");
}

TEST(CompletePlan, FormatsThatContradictTheFileAreRefused) {
  const PlanCase c;
  auto request = c.request({kPlenty});
  request.wishes.formats = {Format::kW3};
  const Plan plan = plan_of({stage_of(0, 0, 8)});
  EXPECT_HAS(error_of(Exit::kUsage, [&] { complete_plan(request, plan); }),
             "format asks for w3 x8, the plan has w8 x8: give only one of them");
  request.wishes.formats = {Format::kW8};
  EXPECT_EQ(layer_counts(complete_plan(request, plan).plan), "8");
  request.wishes.head_format = Format::kW8;
  EXPECT_HAS(error_of(Exit::kUsage, [&] { complete_plan(request, plan); }),
             "head-format asks for w8, the plan has bf16");
}

TEST(CompletePlan, TooFewBlocksAreRefused) {
  Plan plan = plan_of({stage_of(0, 0, 8)});
  plan.kv_blocks = 5;
  EXPECT_HAS(refusal(Exit::kNoPlan, plan), "5 KV blocks of 16 tokens hold 80 tokens");
}

TEST(CompletePlan, WhatDoesNotFitIsRefusedWithSizesThatDo) {
  Plan plan = plan_of({stage_of(0, 0, 4), stage_of(1, 4, 8)});
  plan.kv_blocks = 1 << 30;
  const auto text = refusal(Exit::kNoPlan, plan, {8000, 8000});
  EXPECT_HAS(text, "the plan does not fit into the ranks' memory");
  const size_t at = text.find("kv_blocks ");
  ASSERT_NE(at, std::string::npos) << text;
  plan.kv_blocks = std::stoi(text.substr(at + 10));
  plan.prefill_tokens = std::stoi(text.substr(text.find("prefill_tokens ") + 15));
  plan.decode_batch = std::stoi(text.substr(text.find("decode_batch ") + 13));
  const PlanCase c;
  const auto request = c.request({8000, 8000});
  expect_fits(request, complete_plan(request, plan).plan);
}

TEST(CompletePlan, WhereNoSizesHelpThePlannersOwnIsNamed) {
  const Plan plan = plan_of({stage_of(0, 0, 8, Format::kBf16)});
  EXPECT_HAS(refusal(Exit::kNoPlan, plan, {9000, 9000}),
             "What would fit: no --plan FILE; then it is ");
  EXPECT_HAS(refusal(Exit::kNoPlan, plan, {100, 100}), "even w3 needs ");
}

TEST(Plan, SizesOfStagesFollowTheMix) {
  Plan plan = plan_of({stage_of(0, 0, 8)});
  plan.prefill_tokens = 100;
  plan.decode_batch = 30;
  plan.lanes = 2;
  plan.kv_blocks = 7;
  EXPECT_EQ(stage_sizes(plan, 512, DType::kInt8).max_rows, 100);
  EXPECT_EQ(stage_sizes(plan, 512, DType::kInt8).max_samples, 30);
  plan.mix = Mix::kMixed;
  EXPECT_EQ(stage_sizes(plan, 512, DType::kInt8).max_rows, 130);
  EXPECT_EQ(stage_sizes(plan, 512, DType::kInt8).max_samples, 60);
  const SchedulerConfig config = scheduler_config(plan);
  EXPECT_EQ(config.stages, 1);
  EXPECT_EQ(config.lanes, 2);
  EXPECT_EQ(config.kv_blocks, 7);
}

TEST(Plan, RunLengths) {
  EXPECT_EQ(run_lengths(std::vector<Format>{}), "");
  EXPECT_EQ(run_lengths(std::vector{Format::kBf16, Format::kW4, Format::kW4, Format::kBf16}),
            "bf16 x1, w4 x2, bf16 x1");
}

}  // namespace
}  // namespace llmpq
