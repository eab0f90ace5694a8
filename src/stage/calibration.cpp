#include "stage/calibration.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "base/log.hpp"
#include "kernels/check.hpp"
#include "layer/host_rows.hpp"
#include "stage/product_inputs.hpp"

namespace llmpq {
namespace {

constexpr int64_t kChunkRows = 256;   ///< token rows of a step
constexpr int64_t kBlockTokens = 16;  ///< of a KV block
constexpr std::array kAttention{Product::kQkv, Product::kOut};
constexpr std::array kFeedForward{Product::kUp, Product::kDown};

int64_t longest(const Texts& texts) {
  size_t most = 1;
  for (const auto& text : texts) most = std::max(most, text.size());
  return static_cast<int64_t>(most);
}

Sizes sizes_for(int64_t max_model_len) {
  return {.max_rows = kChunkRows,
          .max_samples = 0,
          .max_model_len = max_model_len,
          .kv_block_tokens = kBlockTokens,
          .kv_type = DType::kF32};
}

int64_t blocks_for(int64_t tokens) { return (tokens + kBlockTokens - 1) / kBlockTokens; }

/// Tokens [begin, end) of a text, which has the blocks from 0 on to itself.
Rows rows_of_text(const std::vector<int32_t>& text, int64_t begin, int64_t end) {
  Rows rows;
  rows.tokens.assign(text.begin() + begin, text.begin() + end);
  rows.positions.resize(rows.tokens.size());
  std::iota(rows.positions.begin(), rows.positions.end(), static_cast<int32_t>(begin));
  rows.ranges = {{0, static_cast<int32_t>(end - begin), static_cast<int32_t>(begin), 0}};
  rows.block_table.resize(static_cast<size_t>(blocks_for(end)));
  std::iota(rows.block_table.begin(), rows.block_table.end(), 0);
  return rows;
}

}  // namespace

int64_t tokens_in(const Texts& texts) {
  size_t tokens = 0;
  for (const auto& text : texts) tokens += text.size();
  return static_cast<int64_t>(tokens);
}

int64_t calibration_bytes(const ModelConfig& c, int64_t tokens, int threads) {
  const int64_t most = std::max({c.hidden, c.heads * c.head_dim, c.ffn});
  const int64_t hessian = (most + 2 * kChunkRows) * most * int64_t{sizeof(double)};
  const int64_t rounding = threads * int64_t{64} * most * 3 * int64_t{sizeof(double)};
  // The residual stream and, while experts are rounded, each token's row for each of its experts.
  const int64_t rows = tokens * (1 + c.experts_per_token);
  return rows * c.hidden * int64_t{sizeof(float)} + hessian + rounding;
}

int64_t calibration_device_bytes(const ModelConfig& config, const Texts& texts,
                                 int64_t max_model_len, BackendKind backend) {
  const Sizes sizes = sizes_for(max_model_len);
  const int64_t blocks = blocks_for(longest(texts));
  const int64_t scratch = scratch_bytes(backend, scratch_needs(config, sizes, false));
  return workspace_bytes(config, sizes, true, false) + rows_bytes(sizes) +
         blocks * (kTableEntryBytes + kv_block_bytes(config, sizes)) + scratch + scratch / 4;
}

Calibration::OnDevice::OnDevice(const ModelConfig& config, const Sizes& sizes, int64_t blocks,
                                Backend& backend)
    : workspace(config, sizes, true, false, backend),
      rows(sizes, blocks, backend),
      kv(allocate_kv(config, sizes, blocks, backend)) {}

Calibration::Calibration(const CalibrationSetup& setup, CalibrationState state, Backend& backend)
    : setup_(setup),
      config_(setup.checkpoint.config()),
      state_(std::move(state)),
      backend_(backend),
      context_(backend.make_context()),
      pool_(setup.threads) {
  on_device_.emplace(config_, sizes_for(setup.max_model_len), blocks_for(longest(state_.texts)),
                     backend);
}

LayerRun Calibration::run_with(LayerObserver* observer) {
  return {config_, backend_.ops(), *context_, ActivationType::kF32, on_device_->workspace,
          observer};
}

/// run(view, hidden) for the rows of all texts in order, some at a time; `hidden` is where their
/// part of the residual stream is kept.
template <typename Run>
void Calibration::for_each_chunk(Run run) {
  float* hidden = state_.hidden.data();
  for (const auto& text : state_.texts)
    for (int64_t begin = 0; begin < std::ssize(text); begin += kChunkRows) {
      const int64_t end = std::min(std::ssize(text), begin + kChunkRows);
      run(on_device_->rows.upload(rows_of_text(text, begin, end), *context_), hidden);
      context_->synchronize();  // before the rows are overwritten
      hidden += (end - begin) * config_.hidden;
    }
}

void Calibration::embed(const EmbeddingWeights& embedding) {
  state_.hidden.resize(static_cast<size_t>(tokens_in(state_.texts) * config_.hidden));
  for_each_chunk([&](const RowsView& view, float* hidden) {
    forward_embedding(run_with(nullptr), embedding, view);
    backend_.copy_to_host(*context_, hidden, on_device_->workspace.hidden,
                          view.count * config_.hidden * int64_t{sizeof(float)});
  });
}

/// The texts through a layer; its outputs become their state only if `keep` says so.
void Calibration::forward(const LayerWeights& weights, int64_t layer, LayerObserver* observer,
                          bool keep) {
  for_each_chunk([&](const RowsView& view, float* hidden) {
    const int64_t bytes = view.count * config_.hidden * int64_t{sizeof(float)};
    float* const on_device = on_device_->workspace.hidden;
    backend_.copy_to_device(*context_, on_device, hidden, bytes);
    forward_layer(run_with(observer), weights, on_device_->kv.view, layer, view);
    if (keep) backend_.copy_to_host(*context_, hidden, on_device, bytes);
  });
}

/// Where a product's integers come from, and where they go.
struct Calibration::Target {
  LayerWeights& weights;
  int64_t layer;
  Format format;
  Context& context;
};

Rounding Calibration::rounding(Format format, const Gptq& gptq) {
  const auto round = [format, &gptq](int64_t rows, std::span<float> values,
                                     std::span<float> scales) {
    gptq.round_rows(format, rows, values, scales);
  };
  return {format, round, pool_};
}

void Calibration::round_matrix(const Target& to, Product product, int64_t expert,
                               std::vector<double> hessian) {
  Matrix& matrix = matrix_of(to.weights, product, expert);
  const Gptq gptq(std::move(hessian), matrix.k, pool_);
  matrix = load_product({setup_.checkpoint, to.layer, product, expert}, rounding(to.format, gptq),
                        backend_, to.context);
}

void Calibration::round_product(const Target& to, Product product) {
  ProductInputs inputs(product, matrix_of(to.weights, product).k, backend_, pool_);
  forward(to.weights, to.layer, &inputs, false);
  round_matrix(to, product, 0, inputs.take());
}

/// `rows`: [., hidden] that are routed to it. They need not pass the whole layer again.
void Calibration::round_expert(const Target& to, int64_t expert, const std::vector<float>& rows) {
  InputHessian inputs(config_.hidden);
  const int64_t count = std::ssize(rows) / config_.hidden;
  inputs.add_rows(rows.data(), count, pool_);
  round_matrix(to, Product::kUp, expert, inputs.take(pool_));
  ProductInputs activated(Product::kDown, config_.ffn, backend_, pool_);
  for (int64_t begin = 0; begin < count; begin += kChunkRows) {
    const int64_t part = std::min(kChunkRows, count - begin);
    backend_.copy_to_device(*context_, on_device_->workspace.gathered,
                            rows.data() + begin * config_.hidden,
                            part * config_.hidden * int64_t{sizeof(float)});
    forward_expert(run_with(&activated), to.weights.experts[static_cast<size_t>(expert)],
                   {to.layer, expert, part});
    context_->synchronize();
  }
  round_matrix(to, Product::kDown, expert, activated.take());
}

void Calibration::round_experts(const Target& to) {
  ExpertInputs inputs(config_.experts, backend_);
  forward(to.weights, to.layer, &inputs, false);
  int64_t unseen = 0;
  for (int64_t expert = 0; expert < config_.experts; ++expert) {
    const std::vector<float> rows = inputs.take(expert);
    if (!rows.empty()) {
      round_expert(to, expert, rows);
      continue;
    }
    ++unseen;
    for (const Product product : kFeedForward)
      matrix_of(to.weights, product, expert) = load_product(
          {setup_.checkpoint, to.layer, product, expert}, to.format, backend_, to.context);
  }
  if (unseen > 0)
    log_warning(
        "gptq: {} of the {} experts of layer {} saw no calibration token and are rounded "
        "to nearest: more --calibration-tokens may reach them",
        unseen, config_.experts, to.layer);
}

void Calibration::round_layer(const Target& to) {
  for (const Product product : kAttention) round_product(to, product);
  if (config_.experts > 0)
    round_experts(to);
  else
    for (const Product product : kFeedForward) round_product(to, product);
  log_info("gptq: layer {} is in {}", to.layer, name(to.format));
}

LayerWeights Calibration::load_layer(int64_t layer, Format format, Context& context) {
  if (layer >= setup_.end_layer)
    return llmpq::load_layer(setup_.checkpoint, layer, format, backend_, context);
  const bool rounds = !is_16bit(format) && !is_as_stored(setup_.checkpoint, format);
  LayerWeights weights = llmpq::load_layer(
      setup_.checkpoint, layer, rounds ? format_16bit(config_) : format, backend_, context);
  context.synchronize();  // the texts run on another context
  if (rounds) round_layer({weights, layer, format, context});
  if (layer + 1 < setup_.end_layer) forward(weights, layer, nullptr, true);
  return weights;
}

HeadWeights Calibration::load_head(Format format, Context& context) {
  if (is_16bit(format)) return llmpq::load_head(setup_.checkpoint, format, backend_, context);
  HeadWeights head = load_head_front(setup_.checkpoint, backend_, context);
  context.synchronize();  // the texts run on another context
  const int64_t inputs = config_.embedding_columns();
  InputHessian hessian(inputs);
  HostRows on_host(backend_);
  for_each_chunk([&](const RowsView& view, const float* hidden) {
    backend_.copy_to_device(*context_, on_device_->workspace.hidden, hidden,
                            view.count * config_.hidden * int64_t{sizeof(float)});
    on_host.for_each_piece(*context_, head_inputs(run_with(nullptr), head, view.count), view.count,
                           inputs,
                           [&](const float* x, int64_t rows) { hessian.add_rows(x, rows, pool_); });
  });
  const Gptq gptq(hessian.take(pool_), inputs, pool_);
  head.matrix.matrix =
      load_head_matrix(setup_.checkpoint, rounding(format, gptq), backend_, context);
  log_info("gptq: the head is in {}", name(format));
  return head;
}

}  // namespace llmpq
