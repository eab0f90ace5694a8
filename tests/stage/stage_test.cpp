#include "stage/stage.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/check.hpp"
#include "layer/test_model.hpp"
#include "plan/memory_model.hpp"
#include "plan/solve.hpp"

namespace llmpq {
namespace {

class StageTest : public testing::Test {
 protected:
  StageTest()
      : checkpoint_(open_checkpoint(std::string(LLMPQ_DATA) + "/tiny")),
        backend_(make_cpu_backend(1, "auto")),
        context_(backend_->make_context()) {}

  PlanRequest request(int ranks) const {
    PlanRequest request{
        .model = "tiny",
        .config = checkpoint_->config(),
        .ranks = std::vector<RankMemory>(static_cast<size_t>(ranks), {int64_t{1} << 30, "cpu"}),
        .device_links = false,
        .max_model_len = 128,
        .kv_type = DType::kBf16,
        .kv_block_tokens = 16,
        .workload = {.sequences = 8, .max_sequence_tokens = 128},
        .wishes = {}};
    request.wishes.formats = {Format::kBf16, Format::kW8, Format::kW4, Format::kW3,
                              Format::kF16,  Format::kW4, Format::kW8, Format::kW3};
    return request;
  }

  Stage load(const Plan& plan, size_t stage) {
    const StageSetup setup{.plan = plan.pipelines[0].stages[stage],
                           .head_format = plan.head_format,
                           .sizes = stage_sizes(plan, 128, DType::kBf16),
                           .kv_blocks = plan.kv_blocks,
                           .activation = std::nullopt};
    return Stage(setup, *checkpoint_, *backend_, *context_);
  }

  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Context> context_;
};

TEST_F(StageTest, AllocatesWhatThePlanPredicts) {
  for (const int ranks : {1, 2, 3}) {
    const PlanRequest asked = request(ranks);
    const Plan plan = solve(asked, Strategy::kJoint).plan;
    const std::vector<StageMemory> predicted = predict_memory(asked, plan);
    ASSERT_EQ(predicted.size(), static_cast<size_t>(ranks));
    for (size_t i = 0; i < predicted.size(); ++i) {
      SCOPED_TRACE(i);
      const Stage stage = load(plan, i);
      EXPECT_EQ(stage.bytes(), predicted[i].total());
      EXPECT_EQ(stage.first(), i == 0);
      EXPECT_EQ(stage.last(), i + 1 == predicted.size());
    }
  }
}

/// However the model is cut, the stages together have the work of the whole; formats decide on the
/// units.
TEST_F(StageTest, WorkOfTheStagesAddsUp) {
  constexpr StepShape kShape{
      .prefill_rows = 5, .prefill_keys = 15, .samples = 1, .prefill_context = 5};
  const Stage whole = load(solve(request(1), Strategy::kJoint).plan, 0);
  const StepWork wanted = whole.work(kShape);
  EXPECT_GT(wanted.of(Unit::kInt8), 0);
  EXPECT_GT(wanted.of(Unit::kF32), 0);
  EXPECT_EQ(wanted.of(Unit::kHalf), 0);
  const Plan cut = solve(request(3), Strategy::kJoint).plan;
  StepWork sum;
  for (size_t i = 0; i < 3; ++i) sum += load(cut, i).work(kShape);
  EXPECT_DOUBLE_EQ(sum.bytes, wanted.bytes);
  EXPECT_DOUBLE_EQ(sum.of(Unit::kInt8), wanted.of(Unit::kInt8));
  EXPECT_DOUBLE_EQ(sum.of(Unit::kF32), wanted.of(Unit::kF32));
}

/// Every family, formats mixed, each type of the cache, a head in w8.
TEST(StageBytes, AreThoseOfThePlanForAllFamilies) {
  const auto backend = make_cpu_backend(1, "plain");
  const auto context = backend->make_context();
  for (const ModelConfig& config : small_models())
    for (const DType kv_type : {DType::kF32, DType::kBf16, DType::kF16, DType::kInt8}) {
      SCOPED_TRACE(config.family + " cache " + std::to_string(static_cast<int>(kv_type)));
      PlanRequest asked{.model = config.family,
                        .config = config,
                        .ranks = {{int64_t{1} << 30, "cpu"}, {int64_t{1} << 30, "cpu"}},
                        .device_links = false,
                        .max_model_len = 96,
                        .kv_type = kv_type,
                        .kv_block_tokens = 16,
                        .workload = {.sequences = 5, .max_sequence_tokens = 70},
                        .wishes = {}};
      asked.wishes.formats = {Format::kW3, format_16bit(config), Format::kW4};
      asked.wishes.head_format = Format::kW8;
      const Plan plan = solve(asked, Strategy::kJoint).plan;
      const RandomCheckpoint checkpoint(config);
      const std::vector<StageMemory> predicted = predict_memory(asked, plan);
      ASSERT_EQ(predicted.size(), 2u);
      for (size_t i = 0; i < predicted.size(); ++i) {
        const StageSetup setup{.plan = plan.pipelines[0].stages[i],
                               .head_format = plan.head_format,
                               .sizes = stage_sizes(plan, 96, kv_type),
                               .kv_blocks = plan.kv_blocks,
                               .activation = std::nullopt};
        EXPECT_EQ(Stage(setup, checkpoint, *backend, *context).bytes(), predicted[i].total());
      }
    }
}

TEST_F(StageTest, RefusesActivationsOfAnotherSize) {
  const Plan plan = solve(request(2), Strategy::kJoint).plan;
  Stage second = load(plan, 1);
  Step step;
  step.tokens = {5};
  step.ranges = {{1, 1, 0, 1, false}};
  step.block_table = {0};
  const std::vector<std::byte> hidden(12);
  EXPECT_THROW(second.run(step, hidden), Error);
}

TEST_F(StageTest, RefusesRowsOfASequenceThatNeverStarted) {
  const Plan plan = solve(request(1), Strategy::kJoint).plan;
  Stage only = load(plan, 0);
  Step step;
  step.tokens = {5};
  step.ranges = {{1, 1, 0, 1, true}};
  step.block_table = {0};
  EXPECT_THROW(only.run(step, {}), Error);
  step.starts.push_back({1, 1, 0, 0, {}});
  only.run(step, {});
  EXPECT_EQ(only.take_result().tokens.size(), 1u);
}

/// Three rows, two of them scored.
Step scored_step() {
  Step step;
  step.tokens = {5, 6, 7};
  step.ranges = {{1, 3, 0, 1, false}};
  step.block_table = {0};
  step.targets = {6, -1, 8};
  return step;
}

TEST_F(StageTest, ScoresTargetsWithoutASampler) {
  const Plan plan = solve(request(1), Strategy::kJoint).plan;
  Stage only = load(plan, 0);
  only.run(scored_step(), {});
  const StepResult result = only.take_result();
  ASSERT_EQ(result.scores.size(), 2u);
  for (const float score : result.scores) EXPECT_LT(score, 0.0f);
  EXPECT_TRUE(result.tokens.empty());
  EXPECT_TRUE(result.divergences.empty());
}

/// Keeps what it sees, and answers with the number of rows that it has seen.
class SeenLogits : public LogitsObserver {
 public:
  explicit SeenLogits(size_t vocab) : vocab_(vocab) {}
  void see_logits(std::span<const float> logits, StepResult& result) override {
    for (size_t row = 0; row < logits.size() / vocab_; ++row) {
      seen.emplace_back(logits.begin() + static_cast<std::ptrdiff_t>(row * vocab_),
                        logits.begin() + static_cast<std::ptrdiff_t>((row + 1) * vocab_));
      result.divergences.push_back(static_cast<double>(seen.size()));
    }
  }
  std::vector<std::vector<float>> seen;

 private:
  size_t vocab_;
};

/// The rows with a target, and the scores are those of their softmax.
TEST_F(StageTest, ShowsTheLogitsOfScoredRows) {
  const Plan plan = solve(request(1), Strategy::kJoint).plan;
  Stage only = load(plan, 0);
  SeenLogits observer(static_cast<size_t>(checkpoint_->config().vocab));
  only.observe_logits(&observer);
  only.run(scored_step(), {});
  const StepResult result = only.take_result();
  EXPECT_EQ(result.divergences, (std::vector<double>{1, 2}));
  ASSERT_EQ(observer.seen.size(), 2u);
  const size_t targets[] = {6, 8};
  for (size_t row = 0; row < 2; ++row) {
    double sum = 0;
    for (const float logit : observer.seen[row]) sum += std::exp(logit);
    EXPECT_NEAR(result.scores[row], observer.seen[row][targets[row]] - std::log(sum), 1e-5);
  }
  only.observe_logits(nullptr);
  only.run(scored_step(), {});
  EXPECT_TRUE(only.take_result().divergences.empty());
  EXPECT_EQ(observer.seen.size(), 2u);
}

}  // namespace
}  // namespace llmpq
