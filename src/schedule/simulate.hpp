// A run in simulation: the real scheduler, driven by given times of stages and links on the lengths
// of the actual prompts, in the way of pipeline/driver and pipeline/worker. What the planner
// promises (design section 6) is what this returns.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "layer/step_shape.hpp"
#include "profile/latency_model.hpp"
#include "schedule/scheduler.hpp"

namespace llmpq {

/// Seconds that one stage computes a step of that shape: finite, not negative. Called once per step
/// and stage (or stages that are alike), so it decides about the simulation's speed: sum the
/// stage's layers up beforehand.
using StageSeconds = std::function<double(const StepShape&)>;

/// The way of activations from one stage to the next; one message at a time, while both compute.
struct SimulatedLink {
  LinkModel model;
  double bytes_per_row = 0;  ///< activations of one token row
};

/// A sequence of the run: one sample of one prompt, in the order of the file.
struct SimulatedRow {
  int64_t prompt_tokens = 0;
  int64_t max_tokens = 0;     ///< the limit, which has to fit into the KV cache
  int64_t output_tokens = 0;  ///< what it really generates, at most max_tokens are; 0 = max_tokens
  int64_t expected_tokens = 0;  ///< what admission keeps blocks for; 0 = what it really generates
};

struct SimulationSetup {
  SchedulerConfig scheduler;
  std::vector<StageSeconds> stages;  ///< [scheduler.stages]
  /// [scheduler.stages]: the first stage that takes the same seconds for every step, so that they
  /// are asked for once a step; empty: all differ.
  std::vector<size_t> like;
  std::vector<SimulatedLink> links;  ///< [stages - 1]
  double control_s = 0;              ///< a step's way from rank 0 to a stage
  double result_s = 0;               ///< the tokens' way from the last stage to rank 0
  int64_t window = 4096;             ///< prompts that wait in the scheduler, see DriverSetup
  int64_t max_model_len = std::numeric_limits<int32_t>::max();
  bool record_events = false;
};

/// By the kind of step.
template <typename T>
struct ByKind {
  T prefill{}, decode{}, mixed{};
  T& of(StepKind kind) {
    return kind == StepKind::kPrefill ? prefill : kind == StepKind::kDecode ? decode : mixed;
  }
  const T& of(StepKind kind) const { return const_cast<ByKind&>(*this).of(kind); }
  T sum() const { return prefill + decode + mixed; }
};

struct SimulatedStage {
  ByKind<double> busy_s;
  double idle_s = 0;  ///< the rest of the run
};

/// A bar of a Gantt chart.
struct SimulatedEvent {
  int32_t stage = 0;
  bool transfer = false;  ///< to the next stage; else computing
  int64_t step = 0;       ///< its id
  StepKind kind = StepKind::kPrefill;
  int32_t lane = -1;
  int64_t rows = 0;
  double begin_s = 0, end_s = 0;
};

struct SimulationResult {
  double seconds = 0;                 ///< from the first step's release to the last row's end
  int64_t rows = 0, failed_rows = 0;  ///< failed: too long for the context or the KV cache
  int64_t prompt_tokens = 0, output_tokens = 0;  ///< of rows that did not fail
  int64_t prefill_rows = 0, decode_rows = 0;     ///< as DriverCounts has them
  ByKind<int64_t> steps;
  int64_t preemptions = 0;
  int64_t most_kv_blocks = 0;          ///< in use at once
  double first_row_s = 0;              ///< when the first row was finished
  std::vector<double> finish_s;        ///< [rows given]; -1 for failed ones
  std::vector<SimulatedStage> stages;  ///< [stages]
  std::vector<double> link_busy_s;     ///< [stages - 1]
  std::vector<SimulatedEvent> events;  ///< in the order of steps, if asked for

  double prompt_tokens_per_s() const { return per_second(prompt_tokens); }
  double output_tokens_per_s() const { return per_second(output_tokens); }

 private:
  double per_second(int64_t tokens) const {
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
  }
};

/// Error(kInternal) if the setup's sizes disagree, a row has no token, or a time is negative or not
/// finite. Deterministic. O(token rows of decode steps + ranges of chunks + steps * stages).
SimulationResult simulate(const SimulationSetup& setup, std::span<const SimulatedRow> rows);

}  // namespace llmpq
