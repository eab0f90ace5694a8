#include "plan/predict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "kernels/check.hpp"
#include "plan/stage_parts.hpp"

namespace llmpq {
namespace {

StepShape within_window(StepShape shape, int64_t window) {
  if (window == 0) return shape;
  shape.prefill_keys = std::min(shape.prefill_keys, shape.prefill_rows * window);
  shape.decode_keys = std::min(shape.decode_keys, shape.decode_rows * window);
  return shape;
}

const DeviceProfile& device_of(const PlanningData& data, int rank) {
  return data.profiles.at(data.profile_of.at(static_cast<size_t>(rank)));
}

/// Messages of rank 0 are short: only the latency counts.
double message_s(const PlanningData& data, int from, int to) {
  return from == to ? 0 : data.link(from, to).latency_s;
}

std::string missing_times(const Plan& plan, size_t stage, const DeviceProfile& device) {
  const auto& stages = plan.pipelines.at(0).stages;
  for (Format format : stages.at(stage).formats)
    if (!device.model.layer.contains(format))
      return fmt::format(
          "stage {} of the plan has layers in {}, for which the profile of {} has no times", stage,
          name(format), device.device);
  const bool last = stage + 1 == stages.size();
  if (!last || device.model.head.contains(plan.head_format)) return "";
  return fmt::format("the plan's head is in {}, for which the profile of {} has no times",
                     name(plan.head_format), device.device);
}

/// The first stage that has such a device and as many layers of the same formats.
size_t first_like(const Plan& plan, size_t stage, const ModelConfig& config,
                  const PlanningData& data) {
  const auto& stages = plan.pipelines.at(0).stages;
  const auto profile_of = [&](size_t i) {
    return data.profile_of.at(static_cast<size_t>(stages[i].ranks.at(0)));
  };
  const StageParts parts = stage_parts(stages.at(stage), plan.head_format, config);
  for (size_t other = 0; other < stage; ++other)
    if (profile_of(other) == profile_of(stage) &&
        stage_parts(stages[other], plan.head_format, config) == parts)
      return other;
  return stage;
}

int64_t sequences_of(std::span<const SequenceLength> lengths) {
  int64_t sum = 0;
  for (const SequenceLength& length : lengths) sum += length.count;
  return sum;
}

void scale(SimulationResult& result, double factor) {
  result.seconds *= factor;
  for (int64_t* count :
       {&result.rows, &result.failed_rows, &result.prompt_tokens, &result.output_tokens,
        &result.prefill_rows, &result.decode_rows, &result.preemptions, &result.steps.prefill,
        &result.steps.decode, &result.steps.mixed})
    *count = std::llround(static_cast<double>(*count) * factor);
  for (SimulatedStage& stage : result.stages)
    for (double* seconds :
         {&stage.busy_s.prefill, &stage.busy_s.decode, &stage.busy_s.mixed, &stage.idle_s})
      *seconds *= factor;
  for (double& seconds : result.link_busy_s) seconds *= factor;
}

/// Rows of a step that look at as many keys as those of the work do on average.
StepShape average_step(const Work& work, const WorkKeys& keys, int64_t prefill, int64_t decode) {
  const auto share = [](int64_t rows, double all_keys, double all_rows) {
    return std::llround(static_cast<double>(rows) * all_keys / std::max(1.0, all_rows));
  };
  StepShape shape;
  shape.prefill_rows = prefill;
  shape.prefill_keys = share(prefill, keys.prefill, work.prefill_rows);
  shape.decode_rows = decode;
  shape.decode_keys = share(decode, keys.decode, work.decode_rows);
  shape.samples = decode + std::llround(static_cast<double>(prefill) / work.prompt());
  return shape;
}

}  // namespace

std::string missing_times(const Plan& plan, const PlanningData& data) {
  const auto& stages = plan.pipelines.at(0).stages;
  for (size_t i = 0; i < stages.size(); ++i) {
    const std::string missing = missing_times(plan, i, device_of(data, stages[i].ranks.at(0)));
    if (!missing.empty()) return missing;
  }
  return "";
}

StageSeconds stage_seconds(const Plan& plan, size_t stage, const ModelConfig& config,
                           const DeviceProfile& device) {
  const StagePlan& stage_plan = plan.pipelines.at(0).stages.at(stage);
  const std::string missing = missing_times(plan, stage, device);
  CHECK(missing.empty(), Exit::kUsage, "{}", missing);
  return
      [parts = stage_parts(stage_plan, plan.head_format, config), device](const StepShape& shape) {
        return seconds_by_profile(device, parts,
                                  [&](int64_t window) { return within_window(shape, window); });
      };
}

SimulationSetup simulation_setup(const Plan& plan, const PlanRequest& request,
                                 const PlanningData& data) {
  const auto& stages = plan.pipelines.at(0).stages;
  SimulationSetup setup;
  setup.scheduler = scheduler_config(plan);
  setup.max_model_len = request.max_model_len;
  const auto row_bytes = static_cast<double>(activation_row_bytes(request.config));
  for (size_t i = 0; i < stages.size(); ++i) {
    const int rank = stages[i].ranks.at(0);
    setup.stages.push_back(stage_seconds(plan, i, request.config, device_of(data, rank)));
    setup.like.push_back(first_like(plan, i, request.config, data));
    setup.control_s = std::max(setup.control_s, message_s(data, 0, rank));
    if (i > 0) setup.links.push_back({data.link(stages[i - 1].ranks.at(0), rank), row_bytes});
  }
  setup.result_s = message_s(data, stages.back().ranks.at(0), 0);
  return setup;
}

std::vector<SimulatedRow> simulated_rows(std::span<const SequenceLength> lengths, int64_t most,
                                         uint64_t seed) {
  const int64_t all = sequences_of(lengths), count = std::min(all, most);
  std::vector<SimulatedRow> rows;
  std::mt19937_64 random(seed);
  auto length = lengths.begin();
  int64_t end = all > 0 ? length->count : 0;  // of the sequences up to this length
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin_of_part = i * all / count, part = (i + 1) * all / count - begin_of_part;
    const int64_t sequence =
        begin_of_part + static_cast<int64_t>(random() % static_cast<uint64_t>(part));
    while (sequence >= end) end += (++length)->count;
    rows.push_back(
        {length->prompt, std::max(length->most_output, length->output), length->output, 0});
  }
  return rows;
}

SimulationResult predict(const Plan& plan, const PlanRequest& request, const PlanningData& data,
                         std::span<const SimulatedRow> rows) {
  return simulate(simulation_setup(plan, request, data), rows);
}

SimulationResult predict(const Plan& plan, const PlanRequest& request, const PlanningData& data,
                         int64_t most_rows) {
  constexpr int64_t kFillings = 8;  // with few, filling and draining would be all that is seen
  const int64_t places = int64_t{plan.lanes} * plan.decode_batch;
  const auto rows =
      simulated_rows(data.lengths, std::max(most_rows, kFillings * places), data.seed);
  SimulationResult result = predict(plan, request, data, rows);
  const int64_t all = sequences_of(data.lengths);
  if (std::ssize(rows) < all)
    scale(result, static_cast<double>(all) / static_cast<double>(rows.size()));
  return result;
}

void fill_stage_seconds(const PlanRequest& request, const PlanningData& data, Plan& plan) {
  const Work work = work_of(data.lengths, request.kv_block_tokens);
  const WorkKeys keys = keys_of(data.lengths, 0);
  const StepShape chunk = average_step(work, keys, plan.prefill_tokens, 0);
  const StepShape step =
      average_step(work, keys, plan.mix == Mix::kMixed ? plan.prefill_tokens : 0,
                   std::min<int64_t>(plan.decode_batch, std::llround(work.sequences)));
  auto& stages = plan.pipelines.at(0).stages;
  for (size_t i = 0; i < stages.size(); ++i) {
    const auto seconds =
        stage_seconds(plan, i, request.config, device_of(data, stages[i].ranks.at(0)));
    stages[i].prefill_s = seconds(chunk);
    stages[i].decode_s = seconds(step);
  }
}

void fill_promised_quality(const PlanningData& data, Plan& plan) {
  if (!data.quality) return;
  const double sum = sum_at(data.quality->loss_increase, layer_formats(plan));
  plan.figures.perplexity_increase = data.quality->predicted_perplexity_increase(sum).value;
  plan.figures.perplexity_quantizer = data.quality_quantizer;
}

}  // namespace llmpq
