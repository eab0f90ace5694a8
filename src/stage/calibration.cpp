#include "stage/calibration.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "base/log.hpp"
#include "kernels/check.hpp"
#include "layer/gptq.hpp"
#include "layer/host_rows.hpp"

namespace llmpq {
namespace {

constexpr int64_t kChunkRows = 256;   ///< token rows of a step
constexpr int64_t kBlockTokens = 16;  ///< of a KV block
constexpr std::array kInOrder{Product::kQkv, Product::kOut, Product::kUp, Product::kDown};

/// Adds up the Hessian of one product.
class ProductInputs final : public LayerObserver {
 public:
  ProductInputs(Product wanted, int64_t inputs, Backend& backend, ThreadPool& pool)
      : wanted_(wanted), on_host_(backend), pool_(pool), hessian_(inputs) {}

  void see_product(Context& context, const ProductRun& run) override {
    if (run.product != wanted_) return;
    on_host_.for_each_piece(
        context, run.x, run.rows, run.inputs,
        [&](const float* x, int64_t rows) { hessian_.add_rows(x, rows, pool_); });
  }
  void see_hidden(Context&, int64_t, const float*, int64_t, int64_t) override {}
  std::vector<double> take() { return hessian_.take(pool_); }

 private:
  Product wanted_;
  HostRows on_host_;
  ThreadPool& pool_;
  InputHessian hessian_;
};

int64_t longest(const Texts& texts) {
  size_t most = 1;
  for (const auto& text : texts) most = std::max(most, text.size());
  return static_cast<int64_t>(most);
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
  return tokens * c.hidden * int64_t{sizeof(float)} + hessian + rounding;
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
  CHECK(config_.experts == 0, Exit::kUsage,
        "--quantizer gptq does not know mixtures of experts, of which each sees a part of the "
        "texts only: take --quantizer rtn");
  const Sizes sizes{.max_rows = kChunkRows,
                    .max_samples = 0,
                    .max_model_len = setup.max_model_len,
                    .kv_block_tokens = kBlockTokens,
                    .kv_type = DType::kF32};
  on_device_.emplace(config_, sizes, blocks_for(longest(state_.texts)), backend);
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

void Calibration::round_product(LayerWeights& weights, int64_t layer, Product product,
                                Format format, Context& context) {
  Matrix& matrix = matrix_of(weights, product);
  ProductInputs inputs(product, matrix.k, backend_, pool_);
  forward(weights, layer, &inputs, false);
  const Gptq gptq(inputs.take(), matrix.k, pool_);
  const auto round = [&](int64_t rows, std::span<float> values, std::span<float> scales) {
    gptq.round_rows(format, rows, values, scales);
  };
  matrix =
      load_product({setup_.checkpoint, layer, product}, format, round, pool_, backend_, context);
}

LayerWeights Calibration::load_layer(int64_t layer, Format format, Context& context) {
  if (layer >= setup_.end_layer)
    return llmpq::load_layer(setup_.checkpoint, layer, format, backend_, context);
  const bool rounds = !is_16bit(format) && !is_as_stored(setup_.checkpoint, format);
  LayerWeights weights = llmpq::load_layer(
      setup_.checkpoint, layer, rounds ? format_16bit(config_) : format, backend_, context);
  context.synchronize();  // the texts run on another context
  if (rounds) {
    for (const Product product : kInOrder) round_product(weights, layer, product, format, context);
    log_info("gptq: layer {} is in {}", layer, name(format));
  }
  if (layer + 1 < setup_.end_layer) forward(weights, layer, nullptr, true);
  return weights;
}

}  // namespace llmpq
