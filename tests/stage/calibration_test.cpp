// GPTQ while layers are loaded: the same bytes however stages and threads share the work, and
// outputs nearer to those of the unquantized model than rounding to nearest gives.
#include "stage/calibration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/expect_error.hpp"
#include "layer/test_model.hpp"

namespace llmpq {
namespace {

constexpr int64_t kMaxModelLen = 90;

CalibrationState texts_of(const ModelConfig& config) {
  CalibrationState state;
  for (const size_t length : {70, 1, 33, 80})
    state.texts.push_back(random_tokens(length, config.vocab, length));
  return state;
}

/// What calibrating needs besides the texts.
struct Machine {
  explicit Machine(const Checkpoint& from, int host_threads = 2)
      : checkpoint(from), threads(host_threads) {}
  const Checkpoint& checkpoint;
  int threads;
  std::unique_ptr<Backend> backend = make_cpu_backend(2, "auto");
  std::unique_ptr<Context> context = backend->make_context();

  Calibration begin(CalibrationState state, int64_t end_layer) const {
    return Calibration({checkpoint, end_layer, kMaxModelLen, threads}, std::move(state), *backend);
  }
};

/// The layers of a model, by stages of so many.
std::vector<LayerWeights> load(const Machine& on, const std::vector<Format>& formats,
                               const std::vector<int64_t>& stages) {
  std::vector<LayerWeights> layers;
  CalibrationState state = texts_of(on.checkpoint.config());
  for (const int64_t count : stages) {
    Calibration calibration = on.begin(std::move(state), std::ssize(formats));
    if (layers.empty()) calibration.embed(load_embedding(on.checkpoint, *on.backend, *on.context));
    for (int64_t i = 0; i < count; ++i) {
      const auto layer = layers.size();
      layers.push_back(
          calibration.load_layer(static_cast<int64_t>(layer), formats[layer], *on.context));
    }
    calibration.free_buffers();
    state = calibration.take_state();
  }
  return layers;
}

bool same_bytes(const Matrix& a, const Matrix& b) {
  return a.format == b.format && a.packed.bytes() == b.packed.bytes() &&
         std::memcmp(a.packed.data(), b.packed.data(), static_cast<size_t>(a.packed.bytes())) == 0;
}

constexpr std::array kAllProducts{Product::kQkv, Product::kOut, Product::kUp, Product::kDown};

/// How many products have the same bytes in both.
int products_alike(std::vector<LayerWeights>& a, std::vector<LayerWeights>& b) {
  int alike = 0;
  for (size_t layer = 0; layer < a.size(); ++layer)
    for (const Product product : kAllProducts)
      alike += same_bytes(matrix_of(a[layer], product), matrix_of(b[layer], product));
  return alike;
}

TEST(Calibration, StagesAndThreadsDoNotMatter) {
  const std::vector<Format> formats{Format::kW3, Format::kW8, Format::kW4};
  for (const ModelConfig& config : {small_llama(), small_bloom()}) {
    const RandomCheckpoint checkpoint(config);
    auto whole = load(Machine(checkpoint), formats, {3});
    for (const auto& stages : {std::vector<int64_t>{1, 2}, {2, 1}, {1, 1, 1}}) {
      auto cut = load(Machine(checkpoint, 3), formats, stages);
      EXPECT_EQ(products_alike(cut, whole), 3 * kProducts) << config.family;
    }
  }
}

/// Sum over all tokens of the squared difference of the logits from the unquantized model's.
double squared_error(const Checkpoint& checkpoint, std::vector<LayerWeights> layers) {
  Runner exact(checkpoint, {.format = Format::kBf16}), rounded(checkpoint, {});
  rounded.layers() = std::move(layers);
  double sum = 0;
  int sequence = 0;
  for (const auto& text : texts_of(checkpoint.config()).texts) {
    const auto want = exact.prefill(sequence, text, 32), got = rounded.prefill(sequence, text, 32);
    ++sequence;
    for (size_t t = 0; t < want.size(); ++t)
      for (size_t i = 0; i < want[t].size(); ++i)
        sum += (double{got[t][i]} - want[t][i]) * (double{got[t][i]} - want[t][i]);
  }
  return sum;
}

TEST(Calibration, OutputsAreNearerThanWithRoundingToNearest) {
  for (const ModelConfig& config : small_models()) {
    const RandomCheckpoint checkpoint(config);
    const Machine on(checkpoint);
    for (const Format format : {Format::kW4, Format::kW3}) {
      const std::vector<Format> formats(3, format);
      std::vector<LayerWeights> nearest;
      for (int64_t layer = 0; layer < 3; ++layer)
        nearest.push_back(load_layer(checkpoint, layer, format, *on.backend, *on.context));
      const double by_gptq = squared_error(checkpoint, load(on, formats, {3}));
      const double by_rounding = squared_error(checkpoint, std::move(nearest));
      EXPECT_LT(by_gptq, by_rounding) << config.family << " " << name(format);
      EXPECT_GT(by_gptq, 0);
    }
  }
}

TEST(Calibration, SixteenBitLayersAndThoseBehindTheLastIntegersAreLoadedAsEver) {
  const RandomCheckpoint checkpoint(small_llama());
  const Machine on(checkpoint);
  Calibration calibration = on.begin(texts_of(checkpoint.config()), 2);
  calibration.embed(load_embedding(checkpoint, *on.backend, *on.context));
  std::vector<LayerWeights> got, want;
  int64_t layer = 0;
  for (const Format format : {Format::kBf16, Format::kW3, Format::kBf16}) {
    got.push_back(calibration.load_layer(layer, format, *on.context));
    want.push_back(load_layer(checkpoint, layer++, format, *on.backend, *on.context));
  }
  EXPECT_EQ(products_alike(got, want), 2 * kProducts);
  EXPECT_EQ(got[1].qkv.matrix.format, Format::kW3);
}

TEST(Calibration, ExpertsAreRefused) {
  const RandomCheckpoint checkpoint(small_experts());
  EXPECT_ERROR(Machine(checkpoint).begin(texts_of(checkpoint.config()), 3), Exit::kUsage,
               "mixtures of experts");
}

TEST(Calibration, MemoryIsCountedByTheLargestHessian) {
  ModelConfig config = small_llama();
  config.ffn = 1000;
  EXPECT_GT(calibration_bytes(config, 100, 1), 8 * 1000 * 1000 + 4 * 100 * config.hidden);
  EXPECT_EQ(calibration_bytes(config, 200, 1) - calibration_bytes(config, 100, 1),
            4 * 100 * config.hidden);
}

}  // namespace
}  // namespace llmpq
