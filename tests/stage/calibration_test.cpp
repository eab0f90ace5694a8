// GPTQ while layers are loaded: the same bytes however stages and threads share the work, and
// outputs nearer to those of the unquantized model than rounding to nearest gives.
#include "stage/calibration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "base/expect_error.hpp"
#include "kernels/cpu/pack.hpp"
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

struct ProductPlace {
  Product product;
  int64_t expert;
};

/// The matrices of a layer.
std::vector<ProductPlace> products_of(const LayerWeights& weights) {
  std::vector<ProductPlace> all{{Product::kQkv, 0}, {Product::kOut, 0}};
  for (int64_t expert = 0; expert < std::max<int64_t>(1, std::ssize(weights.experts)); ++expert)
    for (const Product product : {Product::kUp, Product::kDown}) all.push_back({product, expert});
  return all;
}

/// How many products have the same bytes in both.
int64_t products_alike(std::vector<LayerWeights>& a, std::vector<LayerWeights>& b) {
  int64_t alike = 0;
  for (size_t layer = 0; layer < a.size(); ++layer)
    for (const auto& [product, expert] : products_of(a[layer]))
      alike +=
          same_bytes(matrix_of(a[layer], product, expert), matrix_of(b[layer], product, expert));
  return alike;
}

int64_t products_in(const std::vector<LayerWeights>& layers) {
  int64_t count = 0;
  for (const LayerWeights& layer : layers) count += std::ssize(products_of(layer));
  return count;
}

TEST(Calibration, StagesAndThreadsDoNotMatter) {
  const std::vector<Format> formats{Format::kW3, Format::kW8, Format::kW4};
  for (const ModelConfig& config : {small_llama(), small_bloom(), small_experts()}) {
    const RandomCheckpoint checkpoint(config);
    auto whole = load(Machine(checkpoint), formats, {3});
    for (const auto& stages : {std::vector<int64_t>{1, 2}, {2, 1}, {1, 1, 1}}) {
      auto cut = load(Machine(checkpoint, 3), formats, stages);
      EXPECT_EQ(products_alike(cut, whole), products_in(whole)) << config.family;
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
  for (const ModelConfig& config : all_small_models()) {
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

/// What goes into the products of the experts of one layer.
class ExpertRecorder : public LayerObserver {
 public:
  explicit ExpertRecorder(int64_t layer) : layer_(layer) {}
  void see_product(Context& context, const ProductRun& run) override {
    context.synchronize();
    if (run.layer != layer_ || run.product < Product::kUp) return;
    auto& to = rows[{run.product, run.expert}];
    to.insert(to.end(), run.x, run.x + run.rows * run.inputs);
  }
  void see_hidden(Context&, int64_t, const float*, int64_t, int64_t) override {}
  std::map<std::pair<Product, int64_t>, std::vector<float>> rows;

 private:
  int64_t layer_;
};

/// Sum over rows x of |(a - b) x|^2 for matrices of the same shape.
double output_error(const Matrix& a, const Matrix& b, const std::vector<float>& rows) {
  std::vector<float> left(static_cast<size_t>(a.k)), right(left.size());
  double sum = 0;
  for (int64_t n = 0; n < a.n; ++n) {
    unpack_row(a, n, left.data());
    unpack_row(b, n, right.data());
    for (size_t x = 0; x < rows.size(); x += left.size()) {
      double error = 0;
      for (size_t i = 0; i < left.size(); ++i)
        error += (double{left[i]} - double{right[i]}) * double{rows[x + i]};
      sum += error * error;
    }
  }
  return sum;
}

/// The first layer of a model with experts three times: in 16 bits, rounded to nearest, by GPTQ.
struct ExpertLayer {
  explicit ExpertLayer(const Checkpoint& checkpoint, CalibrationState texts)
      : on(checkpoint), exact(nearest(Format::kBf16)), by_rounding(nearest(Format::kW3)) {
    Calibration calibration = on.begin(std::move(texts), 1);
    calibration.embed(load_embedding(checkpoint, *on.backend, *on.context));
    by_gptq = calibration.load_layer(0, Format::kW3, *on.context);
  }
  LayerWeights nearest(Format format) const {
    return load_layer(on.checkpoint, 0, format, *on.backend, *on.context);
  }
  Machine on;
  LayerWeights exact, by_rounding, by_gptq;
};

TEST(Calibration, EachExpertIsRoundedForTheRowsThatAreRoutedToIt) {
  const RandomCheckpoint checkpoint(small_experts());
  ExpertLayer layer(checkpoint, texts_of(checkpoint.config()));
  // What the experts see once attention is rounded, with those before each product as well.
  ExpertRecorder recorder(0);
  Runner runner(checkpoint, {.observer = &recorder});
  runner.layers()[0] = std::move(layer.by_gptq);
  int sequence = 0;
  for (const auto& text : texts_of(checkpoint.config()).texts) runner.prefill(sequence++, text, 96);
  ASSERT_EQ(recorder.rows.size(), 10u) << "every expert saw tokens";
  for (const auto& [place, rows] : recorder.rows) {
    const auto& [product, expert] = place;
    const Matrix& exact = matrix_of(layer.exact, product, expert);
    const double by_gptq =
        output_error(matrix_of(runner.layers()[0], product, expert), exact, rows);
    const double by_rounding =
        output_error(matrix_of(layer.by_rounding, product, expert), exact, rows);
    EXPECT_LT(by_gptq, 0.9 * by_rounding)
        << "expert " << expert << ", product " << static_cast<int>(product);
    EXPECT_GT(by_gptq, 0);
  }
}

TEST(Calibration, ExpertsThatSawNothingAreRoundedToNearest) {
  const RandomCheckpoint checkpoint(small_experts());
  CalibrationState one_token;
  one_token.texts = {{7}};
  ExpertLayer layer(checkpoint, one_token);
  const auto same = [&](Product product, int64_t expert) {
    return same_bytes(matrix_of(layer.by_gptq, product, expert),
                      matrix_of(layer.by_rounding, product, expert));
  };
  int64_t seen = 0;
  for (int64_t expert = 0; expert < 5; ++expert) {
    EXPECT_EQ(same(Product::kUp, expert), same(Product::kDown, expert)) << expert;
    seen += !same(Product::kUp, expert);
  }
  EXPECT_EQ(seen, checkpoint.config().experts_per_token);
}

/// The head's inputs of all tokens of the texts, as layers in 16 bit leave them.
std::vector<float> head_inputs_of(const Checkpoint& checkpoint) {
  const ModelConfig& c = checkpoint.config();
  std::vector<float> rows;
  Runner runner(checkpoint, {});
  int sequence = 0;
  for (const auto& text : texts_of(c).texts) {
    const auto tokens = static_cast<int64_t>(text.size());
    runner.prefill(sequence++, text, 96);
    const float* const x = runner.head_inputs(tokens);
    rows.insert(rows.end(), x, x + tokens * c.embedding_columns());
  }
  return rows;
}

TEST(Calibration, TheHeadIsRoundedForWhatTheLastLayerGives) {
  for (const ModelConfig& config : {small_llama(), small_opt(), small_opt_350m()}) {
    const RandomCheckpoint checkpoint(config);
    const Machine on(checkpoint);
    Calibration calibration = on.begin(texts_of(config), config.layers + 1);
    calibration.embed(load_embedding(checkpoint, *on.backend, *on.context));
    for (int64_t layer = 0; layer < config.layers; ++layer)
      calibration.load_layer(layer, Format::kBf16, *on.context);
    const HeadWeights by_gptq = calibration.load_head(Format::kW8, *on.context);
    const auto nearest = [&](Format format) {
      return load_head(checkpoint, format, *on.backend, *on.context).matrix;
    };
    const Linear exact = nearest(format_16bit(config));
    const std::vector<float> rows = head_inputs_of(checkpoint);
    const double error = output_error(by_gptq.matrix.matrix, exact.matrix, rows);
    EXPECT_LT(error, 0.9 * output_error(nearest(Format::kW8).matrix, exact.matrix, rows))
        << config.family;
    EXPECT_GT(error, 0);
    EXPECT_EQ(weight_bytes(by_gptq),
              weight_bytes(load_head(checkpoint, Format::kW8, *on.backend, *on.context)));
  }
}

TEST(Calibration, MemoryIsCountedByTheLargestHessian) {
  ModelConfig config = small_llama();
  config.ffn = 1000;
  EXPECT_GT(calibration_bytes(config, 100, 1), 8 * 1000 * 1000 + 4 * 100 * config.hidden);
  EXPECT_EQ(calibration_bytes(config, 200, 1) - calibration_bytes(config, 100, 1),
            4 * 100 * config.hidden);
}

TEST(Calibration, MemoryCountsTheRowsOfEachExpert) {
  const ModelConfig config = small_experts();
  EXPECT_EQ(calibration_bytes(config, 200, 1) - calibration_bytes(config, 100, 1),
            4 * 100 * config.hidden * (1 + config.experts_per_token));
}

}  // namespace
}  // namespace llmpq
