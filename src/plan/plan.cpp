#include "plan/plan.hpp"

#include "kernels/check.hpp"

namespace llmpq {

std::vector<Format> layer_formats(const Plan& plan) {
  std::vector<Format> formats;
  for (const StagePlan& stage : plan.pipelines.at(0).stages)
    formats.insert(formats.end(), stage.formats.begin(), stage.formats.end());
  return formats;
}

SchedulerConfig scheduler_config(const Plan& plan) {
  SchedulerConfig config;
  config.mix = plan.mix;
  config.stages = static_cast<int32_t>(plan.pipelines.at(0).stages.size());
  config.prefill_tokens = plan.prefill_tokens;
  config.decode_batch = plan.decode_batch;
  config.lanes = plan.lanes;
  config.kv_blocks = plan.kv_blocks;
  config.kv_block_tokens = plan.kv_block_tokens;
  return config;
}

Sizes stage_sizes(const Plan& plan, int64_t max_model_len, DType kv_type) {
  const SchedulerConfig config = scheduler_config(plan);
  Sizes sizes;
  sizes.max_rows = max_step_rows(config);
  sizes.max_samples = max_step_samples(config);
  sizes.max_model_len = max_model_len;
  sizes.kv_block_tokens = plan.kv_block_tokens;
  sizes.kv_type = kv_type;
  return sizes;
}

}  // namespace llmpq
