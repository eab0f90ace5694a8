#include "stage/stage_clock.hpp"

#include <algorithm>
#include <limits>

#include "base/timer.hpp"
#include "plan/stage_parts.hpp"

namespace llmpq {
namespace {

constexpr int kTrials = 2;

/// `sequences` of `rows` rows each behind `position` tokens, scored, so that nothing is chosen for
/// them; each has blocks of its own.
Step step_of(int64_t sequences, int64_t rows, int64_t position, int64_t block_tokens) {
  Step step;
  for (int64_t i = 0; i < sequences; ++i) {
    const int64_t blocks = (position + rows + block_tokens - 1) / block_tokens;
    step.ranges.push_back({i, static_cast<int32_t>(rows), static_cast<int32_t>(position),
                           static_cast<int32_t>(blocks), false});
    for (int64_t block = 0; block < blocks; ++block)
      step.block_table.push_back(static_cast<int32_t>(i * blocks + block));
    step.tokens.insert(step.tokens.end(), static_cast<size_t>(rows), 0);
    step.targets.insert(step.targets.end(), static_cast<size_t>(rows - 1), -1);
    step.targets.push_back(0);
  }
  return step;
}

}  // namespace

StageClock::StageClock(const EmulatedDevice& device, const StageSetup& setup,
                       const ModelConfig& config, Backend& backend)
    : device_(device),
      setup_(setup),
      parts_(stage_parts(setup.plan, setup.head_format, config)),
      hidden_(config.hidden),
      meter_(backend) {
  if (device_.profile)
    seconds_by_profile(*device_.profile, parts_, [](int64_t) { return StepShape{}; });
}

double StageClock::seconds(const Step& step) const {
  if (!device_.profile)
    return seconds_by_slowdown(device_.slowdown, meter_.parts(), shape_of(step));
  return seconds_by_profile(*device_.profile, parts_,
                            [&](int64_t window) { return shape_of(step, window); });
}

void StageClock::wait_for_end(const Step& step, double arrived_s) {
  const double seconds = this->seconds(step);
  wait_until(pace_.end_of_step(arrived_s, seconds, steady_seconds()));
}

double StageClock::cores_of(Stage& stage, const Step& step) {
  const std::vector<std::byte> hidden(static_cast<size_t>(step.rows() * hidden_) * sizeof(float));
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kTrials; ++i) {
    stage.run(step, hidden);
    double cpu_s = 0;
    for (const CpuPart& part : meter_.parts()) cpu_s += part.cpu_s;
    least = std::min(least, cpu_s / seconds(step));
  }
  return least;
}

double StageClock::cores(Stage& stage) {
  watch(stage);
  const Sizes& sizes = setup_.sizes;
  const int64_t slots = setup_.kv_blocks * sizes.kv_block_tokens;
  const int64_t chunk = std::min({sizes.max_rows, slots, sizes.max_model_len});
  const int64_t batch = std::min(sizes.max_samples, setup_.kv_blocks);
  const int64_t context =
      std::min(setup_.kv_blocks / batch * sizes.kv_block_tokens, sizes.max_model_len);
  const double cores =
      std::max(cores_of(stage, step_of(1, chunk, 0, sizes.kv_block_tokens)),
               cores_of(stage, step_of(batch, 1, context - 1, sizes.kv_block_tokens)));
  stage.meter(nullptr);
  return cores;
}

}  // namespace llmpq
