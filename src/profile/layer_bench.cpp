#include "profile/layer_bench.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "input/checkpoint.hpp"
#include "kernels/convert.hpp"
#include "layer/reading_order.hpp"
#include "profile/device_clock.hpp"

namespace llmpq {
namespace {

/// Steps of more rows compute so long that it does not matter where their weights come from: two
/// layers will do, and more steps can be measured.
constexpr int64_t kFewRows = 32, kLayersOfManyRows = 2;
constexpr int64_t kPattern = 1 << 16;  ///< numbers that are repeated to fill a buffer

/// Numbers around 0 of the size that activations have, the same every time. Zeros would not do:
/// a CPU serves memory that nobody wrote from one page, and a GPU draws less power.
std::vector<float> pattern() {
  std::vector<float> values(kPattern);
  uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
  }
  return values;
}

void fill(Backend& backend, Context& context, std::byte* to, int64_t bytes,
          std::span<const std::byte> from) {
  for (int64_t at = 0; at < bytes; at += std::ssize(from))
    backend.copy_to_device(context, to + at, from.data(),
                           std::min<int64_t>(std::ssize(from), bytes - at));
  context.synchronize();
}

/// The pattern as numbers of the cache's type.
std::vector<std::byte> kv_pattern(DType type) {
  const std::vector<float> values = pattern();
  std::vector<std::byte> bytes(static_cast<size_t>(kPattern * size_of(type)));
  auto* halves = reinterpret_cast<uint16_t*>(bytes.data());
  if (type == DType::kF32) std::memcpy(bytes.data(), values.data(), bytes.size());
  if (type == DType::kBf16) f32_to_bf16(values.data(), halves, kPattern);
  if (type == DType::kF16) f32_to_f16(values.data(), halves, kPattern);
  if (type == DType::kInt8)
    for (size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::byte>(static_cast<int8_t>(values[i] * 127));
  return bytes;
}

void fill_kv(Backend& backend, Context& context, LayerKv& kv) {
  std::byte* values = static_cast<std::byte*>(kv.view.k);
  const int64_t scale_bytes = values - kv.memory.data();
  const std::vector<float> scales(kPattern, 0.01f);
  fill(backend, context, kv.memory.data(), scale_bytes, std::as_bytes(std::span(scales)));
  fill(backend, context, values, kv.memory.bytes() - scale_bytes, kv_pattern(kv.view.type));
}

/// `count` rows of sequences that have one each: what embedding and head see.
Rows single_rows(int64_t count, int64_t vocab) {
  Rows rows;
  for (int64_t i = 0; i < count; ++i) {
    rows.tokens.push_back(static_cast<int32_t>(i * 7919 % vocab));
    rows.positions.push_back(0);
    rows.ranges.push_back({static_cast<int32_t>(i), 1, 0, 0});
    rows.sampled.push_back(static_cast<int32_t>(i));
  }
  rows.block_table = {0};
  return rows;
}

/// The step's rows, with the blocks of its sequences one after the other.
Rows rows_of(const BenchStep& step, int64_t block_tokens) {
  Rows rows;
  for (const BenchRange& range : step.ranges) {
    rows.ranges.push_back({static_cast<int32_t>(rows.count()), static_cast<int32_t>(range.rows),
                           static_cast<int32_t>(range.position),
                           static_cast<int32_t>(rows.block_table.size())});
    const int64_t end = range.position + range.rows;
    for (int64_t block = 0; block * block_tokens < end; ++block)
      rows.block_table.push_back(static_cast<int32_t>(rows.block_table.size()));
    for (int64_t i = 0; i < range.rows; ++i) {
      rows.tokens.push_back(0);
      rows.positions.push_back(static_cast<int32_t>(range.position + i));
    }
  }
  return rows;
}

/// `work` done `times` times, to the end.
template <typename Work>
auto repeated(Context& context, int64_t times, Work work) {
  return [&context, times, work] {
    for (int64_t i = 0; i < times; ++i) work();
    context.synchronize();
  };
}

}  // namespace

ModelConfig bench_config(const ModelConfig& config, int64_t layers, int64_t vocab) {
  ModelConfig bench = config;
  bench.layers = layers;
  bench.vocab = std::min(config.vocab, vocab);
  bench.window.clear();
  return bench;
}

LayerBench::LayerBench(const ModelConfig& config, const Setup& setup, Backend& backend)
    : config_(config),
      setup_(setup),
      backend_(backend),
      context_(backend.make_context()),
      workspace_(config_, setup.sizes, false, false, backend),
      rows_(setup.sizes, setup.kv_blocks, backend),
      hidden_(static_cast<size_t>(setup.sizes.max_rows * config.hidden)),
      clock_(setup.slowdown, backend) {
  context_->reserve_scratch(
      scratch_bytes(backend.kind(), scratch_needs(config_, setup.sizes, false)));
  const auto checkpoint = make_dummy_checkpoint(config_);
  for (int64_t layer = 0; layer < setup.layers; ++layer) {
    weights_.push_back(load_layer(*checkpoint, layer, setup.format, backend, *context_));
    caches_.push_back(allocate_kv(config_, setup.sizes, setup.kv_blocks, backend));
    fill_kv(backend, *context_, caches_.back());
  }
  tell_reading_order(weights_, nullptr);
  const std::vector<float> values = pattern();
  for (size_t i = 0; i < hidden_.size(); ++i) hidden_[i] = values[i % kPattern];
}

/// Numbers whose halves are numbers of that size too, read as bf16; as f16 they are finite.
void LayerBench::fill(float* to, int64_t count) {
  std::vector<float> values = pattern();
  for (float& value : values) {
    const uint32_t high = std::bit_cast<uint32_t>(value) >> 16;
    value = std::bit_cast<float>(high << 16 | high);
  }
  llmpq::fill(backend_, *context_, reinterpret_cast<std::byte*>(to), count * int64_t{sizeof(float)},
              std::as_bytes(std::span(values)));
}

std::vector<ProductTiming> LayerBench::time_products(double end_s) {
  if (backend_.product_kernels(*context_, setup_.activation) == ProductKernelSet{}) return {};
  const int64_t rows = setup_.sizes.max_rows;
  const Workspace& w = workspace_;
  std::vector<TimedProduct> products{{{}, w.normed, w.qkv},
                                     {{}, w.attended, w.projected},
                                     {{}, w.normed, w.up},
                                     {{}, w.gated, w.projected}};
  for (const LayerWeights& layer : weights_) {
    const bool dense = layer.experts.empty();
    const Matrix& up = dense ? layer.up.matrix : layer.experts[0].up.matrix;
    const Matrix& down = dense ? layer.down.matrix : layer.experts[0].down.matrix;
    size_t at = 0;
    for (const Matrix* matrix : {&layer.qkv.matrix, &layer.out.matrix, &up, &down})
      products[at++].matrices.push_back(matrix);
  }
  fill(workspace_.normed, rows * config_.hidden);
  fill(workspace_.attended, rows * config_.heads * config_.head_dim);
  fill(workspace_.gated, rows * config_.ffn);
  constexpr uint64_t kRecordings = uint64_t{1} << 32;  // beyond those of the steps
  return llmpq::time_products(products,
                              {.activation = setup_.activation,
                               .most_rows = rows,
                               .end_s = end_s,
                               .recordings_from = kRecordings},
                              backend_, *context_);
}

void LayerBench::choose(const BenchStep& step) {
  ++chosen_;
  const StepShape shape = shape_of(step);
  phase_ = phase_of(shape);
  const bool reads_weights = shape.rows() <= kFewRows;
  layers_ = reads_weights ? setup_.layers : std::min(setup_.layers, kLayersOfManyRows);
  view_ = rows_.upload(rows_of(step, setup_.sizes.kv_block_tokens), *context_);
  // The residual stream grows with every layer that is run: it begins anew with each step.
  backend_.copy_to_device(*context_, workspace_.hidden, hidden_.data(),
                          view_.count * config_.hidden * int64_t{sizeof(float)});
  context_->synchronize();
}

double LayerBench::run(int64_t times) {
  const auto work = repeated(*context_, times, [&] { queue(); });
  return clock_.seconds(phase_, setup_.format, work) / static_cast<double>(times * layers_);
}

/// As Stage does it: steps of single rows are recorded, with a context of a power of two.
void LayerBench::queue() {
  RowsView view = view_;
  const LayerRun on{config_, backend_.ops(), *context_, setup_.activation, workspace_};
  const auto forward = [&] {
    for (int64_t layer = 0; layer < layers_; ++layer) {
      const auto i = static_cast<size_t>(layer);
      forward_layer(on, weights_[i], caches_[i].view, layer, view);
    }
  };
  if (view.ranges.singles < view.ranges.count) return forward();
  view.ranges.most_tokens =
      std::min(static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(view.ranges.most_tokens))),
               setup_.sizes.max_model_len);
  context_->run_recorded(chosen_, forward);
}

EmbeddingBench::EmbeddingBench(const ModelConfig& config, const Sizes& sizes,
                               const Slowdown& slowdown, Backend& backend)
    : config_(config),
      backend_(backend),
      context_(backend.make_context()),
      weights_(load_embedding(*make_dummy_checkpoint(config_), backend, *context_)),
      workspace_(config_, sizes, true, false, backend),
      rows_(sizes, 1, backend),
      clock_(slowdown, backend) {
  context_->reserve_scratch(scratch_bytes(backend.kind(), scratch_needs(config_, sizes, false)));
}

void EmbeddingBench::choose(int64_t rows) {
  Rows all = single_rows(rows, config_.vocab);
  all.sampled.clear();
  view_ = rows_.upload(all, *context_);
  context_->synchronize();
}

double EmbeddingBench::run(int64_t times) {
  const LayerRun on{config_, backend_.ops(), *context_, ActivationType::kF32, workspace_};
  const auto work = repeated(*context_, times, [&] { forward_embedding(on, weights_, view_); });
  return clock_.seconds(Phase::kDecode, std::nullopt, work) / static_cast<double>(times);
}

HeadBench::HeadBench(const ModelConfig& config, const Setup& setup, Backend& backend)
    : config_(config),
      setup_(setup),
      backend_(backend),
      context_(backend.make_context()),
      weights_(load_head(*make_dummy_checkpoint(config_), setup.format, backend, *context_)),
      workspace_(config_, setup.sizes, false, true, backend),
      rows_(setup.sizes, 1, backend),
      chooser_(config_, setup.sizes, backend),
      clock_(setup.slowdown, backend) {
  context_->reserve_scratch(
      scratch_bytes(backend.kind(), scratch_needs(config_, setup.sizes, true)));
  const auto count = static_cast<size_t>(setup.sizes.max_rows * config.hidden);
  const std::vector<float> values = pattern();
  std::vector<float> hidden(count);
  for (size_t i = 0; i < count; ++i) hidden[i] = values[i % kPattern];
  backend.copy_to_device(*context_, workspace_.hidden, hidden.data(),
                         static_cast<int64_t>(count * sizeof(float)));
  context_->synchronize();
}

void HeadBench::choose(int64_t samples) {
  view_ = rows_.upload(single_rows(samples, config_.vocab), *context_);
  samplers_.clear();
  for (int64_t i = 0; i < samples; ++i) {
    samplers_.emplace_back(static_cast<uint64_t>(i), 0, 1, setup_.sampling, config_.eos_token_ids,
                           config_.vocab);
    const int32_t token = 0;
    samplers_.back().feed(std::span(&token, 1), 0);
  }
  context_->synchronize();
}

double HeadBench::run(int64_t times) {
  const LayerRun on{config_, backend_.ops(), *context_, setup_.activation, workspace_};
  std::vector<const SequenceSampler*> samplers;
  for (const SequenceSampler& sampler : samplers_) samplers.push_back(&sampler);
  const auto work = repeated(*context_, times, [&] {
    forward_head(on, weights_, view_);
    chooser_.choose(samplers, workspace_.logits, *context_);
  });
  return clock_.seconds(Phase::kDecode, setup_.format, work) / static_cast<double>(times);
}

}  // namespace llmpq
