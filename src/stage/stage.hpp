// One rank's share of a pipeline, ready to run: its layers in their formats, their KV cache, and on
// the last stage the sampler of every running sequence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "input/checkpoint.hpp"
#include "kernels/backend.hpp"
#include "layer/chooser.hpp"
#include "layer/forward.hpp"
#include "layer/host_rows.hpp"
#include "layer/sampler.hpp"
#include "layer/step_work.hpp"
#include "plan/plan.hpp"
#include "profile/cpu_meter.hpp"
#include "schedule/step.hpp"
#include "stage/calibration.hpp"
#include "stage/logits_observer.hpp"
#include "stage/timed_ops.hpp"

namespace llmpq {

/// How the inputs of a matrix product in `format` are rounded. No wish: the backend's default.
/// 16-bit weights take f32 where int8 is wished.
ActivationType activation_type(std::optional<ActivationType> wish, Format format,
                               const Backend& backend);

/// What one stage of a plan is, apart from its weights.
struct StageSetup {
  StagePlan plan;
  Format head_format = Format::kBf16;
  Sizes sizes;
  int64_t kv_blocks = 0;
  std::optional<ActivationType> activation;  ///< --activation-dtype
  /// Called before each layer is read; what it throws ends the loading. May be empty.
  std::function<void()> before_layer = {};
  /// Rounds integer layers and an integer head by GPTQ, on the texts as the stage before left them;
  /// null: to nearest. Used while loading only.
  Calibration* calibration = nullptr;
};

/// Links from device to device; without them activations go through run()'s arguments.
struct StagePorts {
  std::unique_ptr<DeviceLink> in;   ///< from the stage before
  std::unique_ptr<DeviceLink> out;  ///< to the stage after
};

class Stage {
 public:
  /// Reads, rounds and packs the layers of `setup.plan`, allocates cache and workspace. After this
  /// nothing is allocated on the device. Error(kModel) or Error(kNoPlan).
  Stage(const StageSetup& setup, const Checkpoint& checkpoint, Backend& backend, Context& context);

  bool first() const { return embedding_.has_value(); }
  bool last() const { return head_.has_value(); }

  /// Bytes allocated on the device: weights, KV cache, workspace, scratch.
  int64_t bytes() const { return bytes_; }

  /// From now on activations go through the ports.
  void connect(StagePorts ports);

  /// From now on `observer` sees the layers' matrix products; null: nobody does. It must live as
  /// long as steps run.
  void observe(LayerObserver* observer) { observer_ = observer; }

  /// From now on `observer` sees the logits of scored rows, on the last stage; null: nobody does.
  /// It must live as long as steps run.
  void observe_logits(LogitsObserver* observer) { logits_observer_ = observer; }

  /// From now on `meter` is told which part of a step has been computed; null: nobody is. It must
  /// live as long as steps run.
  void meter(CpuMeter* meter) { meter_ = meter; }

  /// From now on the operations of embedding, layers and head are written to `list`, on a CPU;
  /// null: not any more. On a GPU, where they are queued, nothing is written: its profiler tells.
  void time_operations(std::vector<TimedOp>* list);

  /// Runs a step. `hidden`: [rows, hidden] f32 from the stage before (ignored by the first stage
  /// and where a port brings them). Returns [rows, hidden] f32 for the stage after; empty on the
  /// last stage and where a port takes them.
  std::vector<std::byte> run(const Step& step, std::span<const std::byte> hidden);

  /// What this stage has to read and to compute for a step of that shape.
  StepWork work(const StepShape& shape) const;

  /// What the last stage chose, or scored, in the step just run.
  StepResult take_result() { return std::move(result_); }

 private:
  void load_weights(const Checkpoint& checkpoint);
  void allocate_buffers();
  void load_hidden(const Step& step, std::span<const std::byte> hidden);
  void queue_forward(const Rows& rows, RowsView view);
  void forward(const RowsView& view);
  std::vector<std::byte> take_hidden(const RowsView& view);
  void finish_step(const Step& step, const Rows& rows);
  void start_and_feed(const Step& step);
  void choose_tokens(const Step& step);
  void score_targets(const Step& step, const Rows& rows);
  void show_logits(int64_t rows);
  LayerRun layer_run(Format format);
  WorkKind work_kind(Format format) const;

  const ModelConfig& config_;
  Backend& backend_;
  Context& context_;
  StageSetup setup_;
  StagePorts ports_;
  std::optional<EmbeddingWeights> embedding_;
  std::vector<LayerWeights> layers_;
  std::vector<LayerKv> caches_;
  std::optional<HeadWeights> head_;
  std::optional<Workspace> workspace_;
  std::optional<RowsOnDevice> rows_;
  std::optional<Chooser> chooser_;  ///< the last stage's
  Buffer hidden_staging_;           ///< [max_rows, hidden] f32; empty on a stage that is alone
  std::unordered_map<int64_t, SequenceSampler> samplers_;
  StepResult result_;
  LayerObserver* observer_ = nullptr;
  LogitsObserver* logits_observer_ = nullptr;
  HostRows logits_on_host_;  ///< for that observer
  CpuMeter* meter_ = nullptr;
  std::vector<TimedOp>* timed_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace llmpq
