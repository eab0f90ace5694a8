// Times the parts of a step on this rank's device: layers in each format, embedding, head. What is
// measured goes to fit.cpp. Used by commands/profiles.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "input/model_config.hpp"
#include "input/sampling.hpp"
#include "kernels/backend.hpp"
#include "layer/step_shape.hpp"
#include "profile/bench_steps.hpp"
#include "profile/emulate.hpp"

namespace llmpq {

/// A step and the seconds that one layer took for it.
struct LayerPoint {
  Format format = Format::kBf16;
  StepShape shape;
  bool held_out = false;  ///< the fit does not see it, its error is told
  double seconds = 0;
};

/// Rows of the embedding, or samples of the head.
struct CountPoint {
  double count = 0;
  bool held_out = false;
  double seconds = 0;
};

struct HeadPoints {
  Format format = Format::kBf16;
  std::vector<CountPoint> points;
};

struct Measurements {
  std::vector<LayerPoint> layer;
  std::vector<CountPoint> embedding;
  std::vector<HeadPoints> head;
  std::vector<ProductChoice> products;  ///< with which the layers were timed
  bool prefill_apart = false;           ///< steps with prefill rows have a curve of their own
  double spent_s = 0;
  int left_out = 0;   ///< points of the grid for which there was no time
  double spread = 0;  ///< how much longer than the quietest visit of a point the others took, mean
  std::vector<std::string> notes;  ///< formats that were left out, and why
};

/// A format, and how the inputs of its products are rounded.
struct MeasuredFormat {
  Format format = Format::kBf16;
  ActivationType activation = ActivationType::kF32;
};

struct MeasureSetup {
  std::vector<MeasuredFormat> formats;  ///< of layers; contexts are varied with the last one
  std::vector<MeasuredFormat> heads;
  DType kv_type = DType::kBf16;
  int64_t kv_block_tokens = 16;
  int64_t layers_per_rank = 1;
  GridLimits limits;
  Sampling sampling;
  int64_t memory_bytes = 0;  ///< that may be filled while measuring
  double budget_s = 30;
  Slowdown slowdown;  ///< of an emulated device
  /// Whether the kernels of products with integer weights are chosen by timing them first.
  bool choose_products = false;
};

/// Ranks that measure side by side: those which share a device load it as they will when they run.
class Turns {
 public:
  /// `largest`: collective, the largest of all ranks' values.
  explicit Turns(std::function<double(double)> largest) : largest_(std::move(largest)) {}

  /// Waits until every rank that still measures has come here. Returns false, for good, when
  /// another rank has failed.
  bool next();
  /// This rank measures no more: waits until none does. Collective; each rank calls it once, or
  /// fail().
  void finish();
  /// Tells the others that this rank measures no more because it failed.
  void fail();
  /// Another rank has failed: what is measured from now on counts for nothing.
  bool over() const { return over_; }

 private:
  std::function<double(double)> largest_;
  bool over_ = false;
};

/// Leaves the backend with the kernels of `products`. Ends with turns.finish(), or throws after
/// turns.fail(); the result is void if turns.over(). Error(kNoPlan): not one layer fits in the
/// memory.
Measurements measure(const ModelConfig& config, const MeasureSetup& setup, Backend& backend,
                     Turns& turns);

}  // namespace llmpq
