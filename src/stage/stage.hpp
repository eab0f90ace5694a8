// One rank's share of a pipeline, ready to run: its layers in their formats, their KV cache, and on
// the last stage the sampler of every running sequence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "input/checkpoint.hpp"
#include "kernels/backend.hpp"
#include "layer/forward.hpp"
#include "layer/sampler.hpp"
#include "plan/plan.hpp"
#include "schedule/step.hpp"

namespace llmpq {

/// How the inputs of a matrix product in `format` are rounded. No wish: f32 for 16-bit weights,
/// int8 for w8, w4, w3. 16-bit weights take f32 where int8 is wished.
ActivationType activation_type(std::optional<ActivationType> wish, Format format);

/// What one stage of a plan is, apart from its weights.
struct StageSetup {
  StagePlan plan;
  Format head_format = Format::kBf16;
  Sizes sizes;
  int64_t kv_blocks = 0;
  std::optional<ActivationType> activation;  ///< --activation-dtype
};

class Stage {
 public:
  /// Reads, rounds and packs the layers of `setup.plan`, allocates cache and workspace. After this
  /// nothing is allocated on the device. Error(kModel) or Error(kNoPlan).
  Stage(const StageSetup& setup, const Checkpoint& checkpoint, Backend& backend, Context& context);

  bool first() const { return embedding_.has_value(); }
  bool last() const { return head_.has_value(); }

  /// Bytes allocated on the device: weights, KV cache, workspace.
  int64_t bytes() const { return bytes_; }

  /// Runs a step. `hidden`: [rows, hidden] f32 from the stage before (ignored by the first stage).
  /// Returns [rows, hidden] f32 for the stage after; empty on the last stage.
  std::vector<std::byte> run(const Step& step, std::span<const std::byte> hidden);

  /// What the last stage chose, or scored, in the step just run.
  StepResult take_result() { return std::move(result_); }

 private:
  void load_hidden(const Step& step, std::span<const std::byte> hidden);
  void start_and_feed(const Step& step);
  std::span<float> logits_of(const Rows& rows);
  void choose_tokens(const Step& step, const Rows& rows);
  void score_targets(const Step& step, const Rows& rows);
  LayerRun layer_run(Format format);

  const ModelConfig& config_;
  Backend& backend_;
  Context& context_;
  StageSetup setup_;
  std::optional<EmbeddingWeights> embedding_;
  std::vector<LayerWeights> layers_;
  std::vector<LayerKv> caches_;
  std::optional<HeadWeights> head_;
  std::optional<Workspace> workspace_;
  std::unordered_map<int64_t, SequenceSampler> samplers_;
  std::vector<float> logits_;  ///< [samples, vocab] in host memory
  StepResult result_;
  int64_t bytes_ = 0;
};

}  // namespace llmpq
