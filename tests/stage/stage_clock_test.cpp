// A stage on an emulated device: what its clock says of real steps.
#include "stage/stage_clock.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/expect_error.hpp"
#include "base/timer.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "plan/solve.hpp"

namespace llmpq {
namespace {

class StageClockTest : public testing::Test {
 protected:
  StageClockTest()
      : checkpoint_(open_checkpoint(std::string(LLMPQ_DATA) + "/tiny")),
        backend_(make_cpu_backend(1, "auto")),
        context_(backend_->make_context()) {
    PlanRequest request{.model = "tiny",
                        .config = checkpoint_->config(),
                        .ranks = {{int64_t{1} << 30, "cpu"}},
                        .device_links = false,
                        .max_model_len = 128,
                        .kv_type = DType::kBf16,
                        .kv_block_tokens = 16,
                        .workload = {.sequences = 4, .max_sequence_tokens = 64},
                        .wishes = {}};
    request.wishes.formats.assign(8, Format::kW4);
    const Plan plan = solve(request, Strategy::kJoint).plan;
    setup_ = {.plan = plan.pipelines[0].stages[0],
              .head_format = plan.head_format,
              .sizes = stage_sizes(plan, 128, DType::kBf16),
              .kv_blocks = plan.kv_blocks,
              .activation = std::nullopt};
    stage_.emplace(setup_, *checkpoint_, *backend_, *context_);
    step_.tokens = {5, 6, 7};
    step_.ranges = {{1, 3, 0, 1, false}};
    step_.block_table = {0};
    step_.targets = {6, -1, 8};
  }

  static EmulatedDevice by_profile(double layer_s) {
    DeviceProfile profile;
    profile.model.layer = {{Format::kW4, {{1}, {layer_s / 3}}}};
    profile.model.embedding = {{1}, {0}};
    profile.model.head = {{Format::kBf16, {{1, 2}, {1e-3, 2e-3}}}};
    return {.profile = profile, .slowdown = {}};
  }

  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Context> context_;
  StageSetup setup_;
  std::optional<Stage> stage_;
  Step step_;  ///< of 3 rows, 2 of them scored
};

TEST_F(StageClockTest, AProfileTellsHowLongAStepLasts) {
  StageClock clock(by_profile(2e-3), setup_, checkpoint_->config(), *backend_);
  stage_->run(step_, {});
  EXPECT_NEAR(clock.seconds(step_), 8 * 2e-3 + 2e-3, 1e-12);
  const double arrived_s = steady_seconds();
  clock.wait_for_end(step_, arrived_s);
  EXPECT_GE(steady_seconds() - arrived_s, 18e-3);
  EXPECT_EQ(clock.counts().steps, 1);
  EXPECT_EQ(clock.counts().overran, 0);
}

TEST_F(StageClockTest, ASlowdownTellsAMultipleOfWhatWasComputed) {
  // Not all of the step is in its parts: the first look at the clock, and what comes after the
  // last. So no step tells more than the multiple, and the least disturbed one nearly all of it.
  const auto multiple = [&](const char* spec) {
    StageClock clock({.profile = {}, .slowdown = parse_emulation(spec).slowdown}, setup_,
                     checkpoint_->config(), *backend_);
    clock.watch(*stage_);
    double most = 0;
    for (int i = 0; i < 10; ++i) {
      const double began_s = thread_cpu_seconds();
      stage_->run(step_, {});
      most = std::max(most, clock.seconds(step_) / (thread_cpu_seconds() - began_s));
    }
    stage_->meter(nullptr);
    return most;
  };
  const double all = multiple("slowdown=40");
  EXPECT_GT(all, 38);
  EXPECT_LE(all, 40);
  const double layers = multiple("w4.prefill=40,prefill=1e-6,decode=1e-6");
  EXPECT_GT(layers, 4) << "of the step's CPU time, layers take a part";
  EXPECT_LT(layers, 40);
}

TEST_F(StageClockTest, TellsWhatItNeedsOfTheHost) {
  StageClock slow(by_profile(1), setup_, checkpoint_->config(), *backend_);
  const double few = slow.cores(*stage_);
  StageClock fast(by_profile(1e-3), setup_, checkpoint_->config(), *backend_);
  const double many = fast.cores(*stage_);
  EXPECT_GT(few, 0);
  EXPECT_GT(many, 50 * few);
}

TEST_F(StageClockTest, AFormatThatTheProfileLacksIsASentence) {
  EmulatedDevice device = by_profile(1);
  device.profile->device = "Example";
  device.profile->model.layer = {{Format::kW8, {{1}, {1}}}};
  EXPECT_ERROR(StageClock(device, setup_, checkpoint_->config(), *backend_), Exit::kUsage,
               "the profile of Example has no layer in w4");
}

}  // namespace
}  // namespace llmpq
