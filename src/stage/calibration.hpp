// Layers and the head rounded by GPTQ while they are loaded: the calibration texts go through the
// layers one after the other, each layer as the run will have it before the next one is looked at.
// Used by a stage that is loaded with --quantizer gptq; the hidden states travel from stage to
// stage.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "input/checkpoint.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "layer/forward.hpp"
#include "layer/gptq.hpp"

namespace llmpq {

using Texts = std::vector<std::vector<int32_t>>;  ///< tokens of each
int64_t tokens_in(const Texts& texts);

/// Where the calibration texts stand between two layers.
struct CalibrationState {
  Texts texts;
  std::vector<float> hidden;  ///< [all tokens, hidden]: the residual stream; empty before a layer
};

struct CalibrationSetup {
  const Checkpoint& checkpoint;
  int64_t end_layer;  ///< layers from here on are not rounded to integers; beyond all: the head is
  int64_t max_model_len;  ///< as the run has it, since positions may depend on it
  int threads;            ///< of the host; no result depends on it
};

/// Host memory that calibrating takes besides the weights: hidden states, what goes into a layer's
/// experts, the largest Hessian, and rows on their way.
int64_t calibration_bytes(const ModelConfig& config, int64_t tokens, int threads);

/// What it takes on the device besides the stage's weights: its buffers and scratch memory.
int64_t calibration_device_bytes(const ModelConfig& config, const Texts& texts,
                                 int64_t max_model_len, BackendKind backend);

/// The texts on a device, with buffers of their own. All products take f32 inputs and the KV cache
/// is f32, so that weights depend on checkpoint, texts and formats alone.
class Calibration {
 public:
  Calibration(const CalibrationSetup& setup, CalibrationState state, Backend& backend);

  /// Puts the texts through the embedding: before the first layer of the model.
  void embed(const EmbeddingWeights& embedding);
  /// As llmpq::load_layer(), but integers are chosen by GPTQ, product after product, each on inputs
  /// that those before it make after rounding. An expert's inputs are the rows that are routed to
  /// it; without any it is rounded to nearest, and the log says of how many that is true. Then the
  /// texts go through the layer.
  LayerWeights load_layer(int64_t layer, Format format, Context& context);
  /// As llmpq::load_head(), but integers are chosen by GPTQ on what the last layer gave for every
  /// token of the texts.
  HeadWeights load_head(Format format, Context& context);
  /// What it has on the device goes back; no layers can be loaded after.
  void free_buffers() {
    on_device_.reset();
    context_.reset();
  }
  /// For the stage after this one.
  CalibrationState take_state() { return std::move(state_); }

 private:
  /// For one chunk of one text.
  struct OnDevice {
    OnDevice(const ModelConfig& config, const Sizes& sizes, int64_t blocks, Backend& backend);
    Workspace workspace;
    RowsOnDevice rows;
    LayerKv kv;
  };

  struct Target;
  void round_layer(const Target& to);
  void round_product(const Target& to, Product product);
  void round_experts(const Target& to);
  void round_expert(const Target& to, int64_t expert, const std::vector<float>& rows);
  void round_matrix(const Target& to, Product product, int64_t expert, std::vector<double> hessian);
  Rounding rounding(Format format, const Gptq& gptq);
  void forward(const LayerWeights& weights, int64_t layer, LayerObserver* observer, bool keep);
  template <typename Run>
  void for_each_chunk(Run run);
  LayerRun run_with(LayerObserver* observer);

  CalibrationSetup setup_;
  const ModelConfig& config_;
  CalibrationState state_;
  Backend& backend_;
  std::unique_ptr<Context> context_;  ///< for the texts, with scratch memory of its own
  ThreadPool pool_;
  std::optional<OnDevice> on_device_;
};

}  // namespace llmpq
