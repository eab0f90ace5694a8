// The plan: plain data that says which layers go where, at how many bits each, and how large the
// micro-batches are. Rank 0 makes it, prints it, broadcasts it, stores it; a person can write one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "input/quantizer.hpp"
#include "kernels/formats.hpp"
#include "kernels/tensor.hpp"
#include "layer/memory.hpp"
#include "schedule/scheduler.hpp"

namespace llmpq {

struct StagePlan {
  std::vector<int> ranks;  ///< one world rank in this version
  int64_t layer_begin = 0, layer_end = 0;
  std::vector<Format> formats;                ///< one per layer of the range
  std::optional<double> prefill_s, decode_s;  ///< predicted seconds per chunk and per decode step
  int64_t bytes = 0;                          ///< predicted: weights, KV cache, workspace
};

struct PipelinePlan {
  bool prefill = true, decode = true;  ///< phases it serves
  std::vector<StagePlan> stages;
};

/// What a solver computed of a whole plan; for people and checks, nothing runs by it.
struct PlanFigures {
  std::string strategy;                       ///< that made it; may be empty
  std::string problem;                        ///< name of the problem that was solved; may be empty
  std::optional<int64_t> batching;            ///< row of its batchings
  std::optional<double> time_s, simulated_s;  ///< by the formula, and promised by the simulator
  std::optional<double> omega, objective, lower_bound, solve_s;
  /// Promised: of the perplexity over 16 bit, 0.01 = 1 %; where omega is calibrated.
  std::optional<double> perplexity_increase;
  std::optional<Quantizer> perplexity_quantizer;  ///< that it is promised for
  /// Of the plan that is best by the formula, where the simulator found this one faster.
  std::optional<double> best_objective;
};

struct Plan {
  std::string model;   ///< name of the model's folder, and what a plan for another one is told by
  int64_t layers = 0;  ///< of the model; not in the file: the stages tell it
  Mix mix = Mix::kInterleaved;
  int32_t prefill_tokens = 0;
  int32_t decode_batch = 0;
  int32_t lanes = 0;
  int32_t kv_block_tokens = 16;
  int32_t kv_blocks = 0;
  Format head_format = Format::kBf16;
  std::vector<PipelinePlan> pipelines;
  PlanFigures figures;
};

/// The format of each layer, over all stages of the first pipeline.
std::vector<Format> layer_formats(const Plan& plan);

/// Sizes of the run-time buffers of all stages: what the planner counts and stages are made with.
Sizes stage_sizes(const Plan& plan, int64_t max_model_len, DType kv_type);

/// The scheduler that drives the first pipeline.
SchedulerConfig scheduler_config(const Plan& plan);

}  // namespace llmpq
