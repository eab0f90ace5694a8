// What a plan promises, against sums that are made by hand.
#include "plan/predict.hpp"

#include <gtest/gtest.h>

#include "base/expect_error.hpp"
#include "plan_fixture.hpp"

namespace llmpq {
namespace {

/// Seconds a row, whatever the format's curve is called after.
Curve per_row(double seconds) { return {{1, 2}, {seconds, 2 * seconds}}; }

/// bf16 layers take 10 s a row, w4 3 s; `factor` times that.
DeviceProfile device(const std::string& name, double factor) {
  DeviceProfile profile;
  profile.device = name;
  profile.model.layer = {{Format::kBf16, per_row(10 * factor)}, {Format::kW4, per_row(3 * factor)}};
  profile.model.prefill_key_s = 0.01 * factor;
  profile.model.decode_key_s = 0.1 * factor;
  profile.model.embedding = per_row(1000 * factor);
  profile.model.head = {{Format::kBf16, per_row(100 * factor)}};
  return profile;
}

/// The small model of 8 layers: [0, 3) on rank 2, [3, 8) on rank 0, which is twice as slow.
struct TwoStages {
  PlanCase job;
  PlanRequest request = job.request({1 << 20, 1 << 20, 1 << 20});
  PlanningData data;
  Plan plan;

  TwoStages() {
    data.profiles = {device("fast", 1), device("slow", 2)};
    data.profile_of = {1, 0, 0};
    data.link = [](int from, int to) { return LinkModel{from + 0.1 * to, 1e-3}; };
    plan.mix = Mix::kSeparated;
    plan.prefill_tokens = 4;
    plan.decode_batch = 2;
    plan.lanes = 1;
    plan.kv_blocks = 100;
    plan.pipelines.resize(1);
    plan.pipelines[0].stages = {{{2}, 0, 3, {Format::kBf16, Format::kW4, Format::kBf16}, {}, {}, 0},
                                {{0}, 3, 8, {5, Format::kW4}, {}, {}, 0}};
  }
  StageSeconds seconds(size_t stage) const {
    return stage_seconds(plan, stage, job.config, data.profiles[stage]);
  }
};

TEST(Predict, AStageTakesTheSumOfItsLayers) {
  const TwoStages two;
  // 2 prefill rows, of which one is sampled, that look at 7 keys; 3 decode rows at 11 keys.
  const StepShape shape{2, 7, 3, 11, 4};
  const double keys = 0.01 * 7 + 0.1 * 11;
  EXPECT_DOUBLE_EQ(two.seconds(0)(shape), 5 * (10 + 3 + 10) + 3 * keys + 5 * 1000);
  EXPECT_DOUBLE_EQ(two.seconds(1)(shape), 2 * (5 * 5 * 3 + 5 * keys + 4 * 100));
  EXPECT_DOUBLE_EQ(two.seconds(1)({2, 7, 0, 0, 0}), 2 * (2 * 5 * 3 + 5 * 0.07))
      << "no token is chosen: no head";
}

TEST(Predict, AWindowLimitsTheKeys) {
  TwoStages two;
  two.job.config.window.assign(8, 0);
  two.job.config.window[1] = 3;
  const StepShape shape{2, 7, 3, 11, 0};
  const double keys = 0.01 * 7 + 0.1 * 11, fewer = 0.01 * 6 + 0.1 * 9;
  EXPECT_DOUBLE_EQ(two.seconds(0)(shape), 5 * 23 + 2 * keys + fewer + 5 * 1000);
}

TEST(Predict, StagesAreAlikeWhereDeviceFormatsAndEndsAre) {
  TwoStages two;
  two.data.profile_of = {1, 0, 0, 0, 0, 0};
  const Format a = Format::kBf16, b = Format::kW4;
  two.job.config.layers = 12;
  two.job.config.window.assign(12, 0);
  const auto stage = [](int rank, int64_t begin, std::vector<Format> formats) {
    return StagePlan{{rank}, begin, begin + 2, std::move(formats), {}, {}, 0};
  };
  two.plan.pipelines[0].stages = {stage(1, 0, {a, b}), stage(2, 2, {a, b}), stage(3, 4, {b, b}),
                                  stage(0, 6, {a, b}), stage(4, 8, {b, a}), stage(5, 10, {a, b})};
  // The first has the embedding, the last the head; rank 0 is slow, the third has other formats.
  EXPECT_EQ(simulation_setup(two.plan, two.request, two.data).like,
            (std::vector<size_t>{0, 1, 2, 3, 4, 5}));
  two.plan.pipelines[0].stages[4].formats = {b, b};
  EXPECT_EQ(simulation_setup(two.plan, two.request, two.data).like,
            (std::vector<size_t>{0, 1, 2, 3, 2, 5}));
}

/// One sequence of 6 prompt tokens, 3 of output: chunks of 4 and 2 rows, then two decode steps.
TEST(Predict, OneSequenceGoesThroughStagesLinksAndMessages) {
  const TwoStages two;
  const double to_stage = 0.2, link = 2.0, back = 0.0;  // latencies, rank 0 to 2, 2 to 0, 0 to 0
  const double row_bytes_s = 256 * 4 * 1e-3;
  const StepShape chunk_a{4, 10, 0, 0, 0}, chunk_b{2, 11, 0, 0, 1};
  const auto first = two.seconds(0), second = two.seconds(1);
  // The second stage begins chunk b when it has done a and b has arrived.
  const double a_at_1 = to_stage + first(chunk_a) + link + 4 * row_bytes_s;
  const double b_at_1 = to_stage + first(chunk_a) + first(chunk_b) + link + 2 * row_bytes_s;
  double now = std::max(a_at_1 + second(chunk_a), b_at_1) + second(chunk_b) + back;
  for (const StepShape& step : {StepShape{0, 0, 1, 7, 1}, StepShape{0, 0, 1, 8, 1}})
    now += to_stage + first(step) + link + row_bytes_s + second(step) + back;
  const std::vector<SimulatedRow> rows{{6, 3, 0, 0}};
  const SimulationResult result = predict(two.plan, two.request, two.data, rows);
  EXPECT_DOUBLE_EQ(result.seconds, now);
  EXPECT_EQ(result.output_tokens, 3);
}

TEST(Predict, RowsAreTheSequencesInTheirOrder) {
  const std::vector<SequenceLength> lengths{{7, 2, 2, 9}, {5, 3, 1, 0}};
  const auto rows = simulated_rows(lengths, 10, 0);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1].prompt_tokens, 7);
  EXPECT_EQ(rows[1].max_tokens, 9);
  EXPECT_EQ(rows[1].output_tokens, 2);
  EXPECT_EQ(rows[2].prompt_tokens, 5);
  EXPECT_EQ(rows[2].max_tokens, 3);
}

TEST(Predict, ASampleIsSpreadAndSeeded) {
  std::vector<SequenceLength> lengths;
  for (int64_t i = 1; i <= 100; ++i) lengths.push_back({i, 1, 30, 0});
  const auto rows = simulated_rows(lengths, 50, 3);
  ASSERT_EQ(rows.size(), 50u);
  for (size_t i = 0; i < rows.size(); ++i)
    EXPECT_EQ((rows[i].prompt_tokens - 1) / 2, static_cast<int64_t>(i)) << "one of each 60";
  const auto prompts = [](const std::vector<SimulatedRow>& of) {
    std::vector<int64_t> list;
    for (const SimulatedRow& row : of) list.push_back(row.prompt_tokens);
    return list;
  };
  EXPECT_EQ(prompts(simulated_rows(lengths, 50, 3)), prompts(rows));
  EXPECT_NE(prompts(simulated_rows(lengths, 50, 4)), prompts(rows));
}

TEST(Predict, ASampleStandsForAll) {
  TwoStages two;
  two.data.lengths = {{6, 3, 400, 0}};
  const SimulationResult all = predict(two.plan, two.request, two.data);
  const SimulationResult part = predict(two.plan, two.request, two.data, 100);
  EXPECT_EQ(all.finish_s.size(), 400u);
  EXPECT_EQ(part.finish_s.size(), 100u);
  EXPECT_EQ(part.output_tokens, 1200);
  EXPECT_EQ(part.steps.sum(), all.steps.sum());
  EXPECT_NEAR(part.seconds, all.seconds, 0.01 * all.seconds);
  EXPECT_NEAR(part.stages[1].busy_s.sum(), all.stages[1].busy_s.sum(), 1e-6 * all.seconds);
  EXPECT_EQ(predict(two.plan, two.request, two.data, 1).finish_s.size(), 16u)
      << "eight fillings of a lane of two at the least";
}

TEST(Predict, SecondsOfAverageSteps) {
  TwoStages two;
  two.data.lengths = {{6, 3, 10, 0}};
  fill_stage_seconds(two.request, two.data, two.plan);
  const auto& stages = two.plan.pipelines[0].stages;
  // 4 of 6 rows, which look at 1 to 6 keys: 14. 2 decode rows at 7 and 8 keys: 15.
  EXPECT_DOUBLE_EQ(*stages[0].prefill_s, two.seconds(0)({4, 14, 0, 0, 1}));
  EXPECT_DOUBLE_EQ(*stages[1].decode_s, two.seconds(1)({0, 0, 2, 15, 2}));
}

TEST(Predict, FormatsWithoutTimesAreNamed) {
  TwoStages two;
  two.plan.pipelines[0].stages[1].formats[2] = Format::kW3;
  EXPECT_ERROR(predict(two.plan, two.request, two.data, std::vector<SimulatedRow>{{6, 3, 0, 0}}),
               Exit::kUsage,
               "stage 1 of the plan has layers in w3, for which the profile of slow has no times");
  two.plan.pipelines[0].stages[1].formats[2] = Format::kW4;
  two.plan.head_format = Format::kW8;
  EXPECT_ERROR(predict(two.plan, two.request, two.data, std::vector<SimulatedRow>{{6, 3, 0, 0}}),
               Exit::kUsage, "the plan's head is in w8");
}

}  // namespace
}  // namespace llmpq
