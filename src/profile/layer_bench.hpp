// What the profiler times: steps of chosen shapes on made-up weights, through the layer code that a
// stage runs. Used by measure.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "input/sampling.hpp"
#include "kernels/backend.hpp"
#include "layer/chooser.hpp"
#include "layer/forward.hpp"
#include "profile/bench_clock.hpp"
#include "profile/bench_steps.hpp"
#include "profile/product_bench.hpp"

namespace llmpq {

/// The numbers of a model's first layers without sliding windows (a step's keys are counted as the
/// windows leave them) and with a vocabulary of at most `vocab`.
ModelConfig bench_config(const ModelConfig& config, int64_t layers, int64_t vocab);

/// Several layers in one format, each with weights and KV cache of its own, one after the other as
/// on a stage: with a single one, weights would come from a cache that a stage's do not fit in.
class LayerBench {
 public:
  struct Setup {
    int64_t layers = 1;
    Format format = Format::kBf16;
    ActivationType activation = ActivationType::kF32;
    Sizes sizes;
    int64_t kv_blocks = 0;
    Slowdown slowdown;  ///< of an emulated device
  };
  /// Error(kNoPlan) when the memory does not suffice.
  LayerBench(const ModelConfig& config, const Setup& setup, Backend& backend);

  /// Puts the step's rows on the device; run() runs it until another is chosen.
  void choose(const BenchStep& step);
  /// Queues the step `times` times, waits, and returns the seconds of one layer.
  double run(int64_t times);

  /// The kernels that there are for the layers' products, timed until steady_seconds() is `end_s`.
  /// Empty where a device has no choice of them. Before it is run another step must be chosen.
  std::vector<ProductTiming> time_products(double end_s);

 private:
  void queue();
  void fill(float* to, int64_t count);

  ModelConfig config_;
  Setup setup_;
  Backend& backend_;
  std::unique_ptr<Context> context_;
  std::vector<LayerWeights> weights_;
  std::vector<LayerKv> caches_;
  Workspace workspace_;
  RowsOnDevice rows_;
  RowsView view_{};
  std::vector<float> hidden_;
  BenchClock clock_;
  Phase phase_ = Phase::kDecode;  ///< of the chosen step
  uint64_t chosen_ = 0;
  int64_t layers_ = 1;  ///< that the chosen step runs through
};

/// The embedding: run() returns the seconds of a step of `rows` rows.
class EmbeddingBench {
 public:
  EmbeddingBench(const ModelConfig& config, const Sizes& sizes, const Slowdown& slowdown,
                 Backend& backend);
  void choose(int64_t rows);
  double run(int64_t times);

 private:
  ModelConfig config_;
  Backend& backend_;
  std::unique_ptr<Context> context_;
  EmbeddingWeights weights_;
  Workspace workspace_;
  RowsOnDevice rows_;
  RowsView view_{};
  BenchClock clock_;
};

/// Final norm, head and choice of a token for each of `samples` rows.
class HeadBench {
 public:
  struct Setup {
    Format format = Format::kBf16;
    ActivationType activation = ActivationType::kF32;
    Sizes sizes;
    Sampling sampling;
    Slowdown slowdown;  ///< of an emulated device
  };
  HeadBench(const ModelConfig& config, const Setup& setup, Backend& backend);
  void choose(int64_t samples);
  double run(int64_t times);

 private:
  ModelConfig config_;
  Setup setup_;
  Backend& backend_;
  std::unique_ptr<Context> context_;
  HeadWeights weights_;
  Workspace workspace_;
  RowsOnDevice rows_;
  Chooser chooser_;
  std::vector<SequenceSampler> samplers_;
  RowsView view_{};
  BenchClock clock_;
};

}  // namespace llmpq
