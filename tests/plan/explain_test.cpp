#include "plan/explain.hpp"

#include <gtest/gtest.h>

#include "plan_fixture.hpp"

namespace llmpq {
namespace {

TEST(Explain, AStripHasACharacterForEachLayer) {
  using enum Format;
  EXPECT_EQ(bit_strip(std::vector<Format>{kBf16, kF16, kW8, kW4, kW3, kW4}), "GG84 34");
  EXPECT_EQ(bit_strip(std::vector<Format>(4, kW4)), "4444");
}

/// Two stages of the small model; 100 s, of which the second computes 95.
struct Case {
  PlanCase job;
  PlanRequest request = job.request({100 << 10, 20 << 10});
  Plan plan;
  SimulationResult run;

  Case() {
    plan.prefill_tokens = 64;
    plan.decode_batch = 4;
    plan.lanes = 2;
    plan.kv_blocks = 40;
    plan.pipelines.resize(1);
    plan.pipelines[0].stages = {{{0}, 0, 5, {5, Format::kW4}, 0.0125, 0.002, 0},
                                {{1}, 5, 8, {3, Format::kBf16}, {}, {}, 0}};
    run.seconds = 100;
    run.output_tokens = 4000;
    run.prompt_tokens = 20000;
    run.first_row_s = 2.5;
    run.stages.resize(2);
    run.stages[0] = {{30, 20, 0}, 50};
    run.stages[1] = {{60, 35, 0}, 5};
    run.link_busy_s = {10};
  }
  std::string text() const { return explain(request, plan, run); }
};

TEST(Explain, SpeedStagesAndWhatLimits) {
  const Case two;
  EXPECT_HAS(two.text(),
             "predicted: 100 s, 40 output tokens/s (200 prompt tokens/s beside them); "
             "the first row after 2.5 s");
  EXPECT_HAS(two.text(), "4444 4");
  EXPECT_HAS(two.text(), "12.5");
  EXPECT_HAS(two.text(), "time: stage 1 (rank 1) limits, busy 95 % of the run");
  EXPECT_HAS(two.text(), "memory: stage 1 (rank 1) has least to spare");
}

TEST(Explain, ALinkOrNothingAloneMayLimit) {
  Case two;
  two.run.link_busy_s = {97};
  EXPECT_HAS(two.text(), "time: the link from stage 0 to stage 1 limits, busy 97 %");
  two.run.link_busy_s = {0};
  two.run.stages[1].busy_s = {40, 20, 0};
  EXPECT_HAS(two.text(), "no stage limits alone (stage 1 (rank 1), the busiest, 60 % of the run)");
}

TEST(Explain, ProofAndQualityWhereTheyAreKnown) {
  Case two;
  EXPECT_EQ(two.text().find("by formula"), std::string::npos);
  EXPECT_EQ(two.text().find("promised quality"), std::string::npos);
  two.plan.figures.time_s = 99;
  two.plan.figures.objective = 100;
  two.plan.figures.lower_bound = 98;
  two.plan.figures.perplexity_increase = 0.0123;
  EXPECT_HAS(two.text(),
             "by formula: 99 s, omega 0, 100 s with omega at its price; no plan is below 98 s (gap "
             "2.00 %)");
  EXPECT_HAS(two.text(), "promised quality: perplexity +1.23 % over 16 bit\n");
  two.plan.figures.perplexity_quantizer = Quantizer::kGptq;
  EXPECT_HAS(two.text(), "perplexity +1.23 % over 16 bit for weights rounded by gptq\n");
  two.plan.figures.best_objective = 98.5;
  EXPECT_HAS(two.text(),
             "with omega at its price, and 98.5 s for one that the simulator found slower; no plan "
             "is below 98 s (gap 0.51 %)");
}

}  // namespace
}  // namespace llmpq
