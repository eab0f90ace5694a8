#include "profile/sensitivity.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/check.hpp"
#include "layer/test_model.hpp"

namespace llmpq {
namespace {

/// All weights are `value` with alternating signs.
class EvenCheckpoint : public RandomCheckpoint {
 public:
  EvenCheckpoint(const ModelConfig& config, float value)
      : RandomCheckpoint(config), value_(value) {}
  void read_rows(TensorRole, int64_t, int64_t, int64_t, std::span<float> values) const override {
    for (size_t i = 0; i < values.size(); ++i) values[i] = i % 2 == 0 ? value_ : -value_;
  }

 private:
  float value_;
};

/// One layer's products, told to an observer: inputs are +-`x` in turn, outputs all `y`.
class OneLayer {
 public:
  explicit OneLayer(const ModelConfig& config) : c_(config) {}

  void see(Product product, int64_t rows, float x, float y, int64_t expert = 0,
           const std::vector<float>& weights = {}) {
    const int64_t widths[kProducts][2] = {{c_.hidden, c_.qkv_rows()},
                                          {c_.heads * c_.head_dim, c_.hidden},
                                          {c_.hidden, c_.up_rows()},
                                          {c_.ffn, c_.hidden}};
    const auto [inputs, outputs] = widths[static_cast<size_t>(product)];
    std::vector<float> in(static_cast<size_t>(rows * inputs));
    for (size_t i = 0; i < in.size(); ++i) in[i] = i % 2 == 0 ? x : -x;
    const std::vector<float> out(static_cast<size_t>(rows * outputs), y);
    observer_.see_product(*context_, {0, product, rows, in.data(), inputs, out.data(), outputs,
                                      expert, weights.empty() ? nullptr : weights.data()});
  }
  LayerStatistics statistics(int64_t rows, float stream) {
    const std::vector<float> hidden(static_cast<size_t>(rows * c_.hidden), stream);
    observer_.see_hidden(*context_, 0, hidden.data(), rows, c_.hidden);
    return observer_.of(0);
  }

 private:
  ModelConfig c_;
  std::unique_ptr<Backend> backend_ = make_cpu_backend(1, "auto");
  std::unique_ptr<Context> context_ = backend_->make_context();
  StatisticsObserver observer_{*backend_};
};

/// Four tokens: inputs +-`size`, outputs `size`, a stream of twice that.
LayerStatistics seen(const ModelConfig& c, float size) {
  OneLayer layer(c);
  for (const Product product : {Product::kQkv, Product::kOut, Product::kUp, Product::kDown})
    layer.see(product, 4, size, size);
  return layer.statistics(4, 2 * size);
}

double at(const ByFormat& omega, Format format) { return omega[static_cast<size_t>(format)]; }

TEST(VarianceIndicator, IsTheClosedFormForEvenWeights) {
  for (const ModelConfig& c : small_models()) {
    const EvenCheckpoint checkpoint(c, 0.5f);
    const LayerStatistics statistics = seen(c, 3);
    const ByFormat omega = variance_omega({checkpoint, 0, statistics});
    // D summed over q, k, v, out, (gate,) up, down; Var[X] = 9.
    const auto inputs = static_cast<double>(3 * c.hidden + c.heads * c.head_dim +
                                            (c.gated ? 2 : 1) * c.hidden + c.ffn);
    for (const FormatInfo& format : kFormats) {
      const double step = is_16bit(format.format) ? 0 : 0.5 / format.max_abs;
      EXPECT_NEAR(at(omega, format.format), inputs * step * step * 9 / 4, 1e-6 * inputs)
          << format.name;
    }
  }
}

TEST(HessianIndicator, IsZeroWhereNothingIsRounded) {
  const EvenCheckpoint checkpoint(small_llama(), 0.5f);
  const LayerStatistics statistics = seen(small_llama(), 3);
  for (const double value : hessian_omega({checkpoint, 0, statistics})) EXPECT_LT(value, 1e-9);
}

/// Sum over the weights of one matrix of the squared error of rounding to a format.
double squared_error(const Checkpoint& checkpoint, const LayerMatrix& matrix, int max_abs) {
  std::vector<float> w(static_cast<size_t>(matrix.rows * matrix.columns));
  checkpoint.read_rows(matrix.role, 0, matrix.first, matrix.rows, w);
  double sum = 0;
  for (int64_t row = 0; row < matrix.rows; ++row)
    for (int64_t begin = 0; begin < matrix.columns; begin += 128) {
      const int64_t end = std::min<int64_t>(begin + 128, matrix.columns);
      float largest = 0;
      for (int64_t i = begin; i < end; ++i)
        largest = std::max(largest, std::abs(w[static_cast<size_t>(row * matrix.columns + i)]));
      const double step = double{largest} / max_abs;
      for (int64_t i = begin; i < end; ++i) {
        const double value = w[static_cast<size_t>(row * matrix.columns + i)];
        const double error = value - std::nearbyint(value / step) * step;
        sum += error * error;
      }
    }
  return sum;
}

TEST(HessianIndicator, WeighsTheRealErrorsOfRounding) {
  for (const ModelConfig& c : small_models()) {
    const RandomCheckpoint checkpoint(c);
    const LayerStatistics statistics = seen(c, 3);
    const ByFormat omega = hessian_omega({checkpoint, 0, statistics});
    for (const Format format : {Format::kW8, Format::kW4, Format::kW3}) {
      double want = 0;
      for (const LayerMatrix& matrix : layer_matrices(c))
        want += squared_error(checkpoint, matrix, info(format).max_abs) * 9;
      EXPECT_NEAR(at(omega, format), want, 1e-4 * want) << c.family << " " << name(format);
    }
    EXPECT_EQ(at(omega, Format::kBf16), 0);
    EXPECT_EQ(at(omega, Format::kF16), 0);
  }
}

/// As seen(c, 3), but of the four tokens two meet expert 0 with weight 1/2, one meets expert 3,
/// which outputs 1, with weight 2, and nobody meets the others.
LayerStatistics seen_by_experts(const ModelConfig& c) {
  OneLayer layer(c);
  for (const Product product : {Product::kQkv, Product::kOut}) layer.see(product, 4, 3, 3);
  for (const Product product : {Product::kUp, Product::kDown}) {
    layer.see(product, 2, 3, 3, 0, {0.5f, 0.5f});
    layer.see(product, 1, 3, 1, 3, {2.0f});
  }
  return layer.statistics(4, 6);
}

/// Squared error of rounding to w4, by product and expert.
double squared_error(const Checkpoint& checkpoint, Product product, int64_t expert) {
  double sum = 0;
  for (const LayerMatrix& matrix : layer_matrices(checkpoint.config()))
    if (matrix.product == product && matrix.expert == expert)
      sum += squared_error(checkpoint, matrix, 7);
  return sum;
}

TEST(Indicators, CountAnExpertByTheTokensThatItSaw) {
  const ModelConfig c = small_experts();
  const RandomCheckpoint checkpoint(c);
  const LayerStatistics statistics = seen_by_experts(c);
  EXPECT_EQ(unseen_experts(statistics, c.experts), 3);
  const auto error = [&](Product product, int64_t expert) {
    return squared_error(checkpoint, product, expert) * 9;
  };
  const double attention = error(Product::kQkv, 0) + error(Product::kOut, 0);
  const double first = error(Product::kUp, 0) + error(Product::kDown, 0);
  const double other = error(Product::kUp, 3) + error(Product::kDown, 3);
  EXPECT_NE(first, other) << "the experts have weights of their own";
  const double want = attention + first * 2 / 4 + other * 1 / 4;
  EXPECT_NEAR(at(hessian_omega({checkpoint, 0, statistics}), Format::kW4), want, 1e-4 * want);

  // Squared size of what a token of an expert adds, beside the stream's 4 times 6^2.
  const double from_first = 2 * 1.5 * 1.5 / (4 * 36), from_other = 2.0 * 2.0 / (4 * 36);
  const auto hidden = static_cast<double>(c.hidden), up = static_cast<double>(c.up_rows());
  const auto relative = [&](int64_t expert, double y) {
    return error(Product::kUp, expert) / (up * y * y) +
           error(Product::kDown, expert) / (hidden * y * y);
  };
  const double sum = relative(0, 3) * from_first + relative(3, 1) * from_other +
                     (error(Product::kQkv, 0) / (static_cast<double>(c.qkv_rows()) * 9) +
                      error(Product::kOut, 0) / (hidden * 9)) /
                         4;
  EXPECT_NEAR(at(relative_omega({checkpoint, 0, statistics}), Format::kW4), sum, 1e-4 * sum);
}

TEST(RelativeIndicator, IsNoiseInPartsOfTheStream) {
  const ModelConfig c = small_llama();
  const RandomCheckpoint checkpoint(c);
  const LayerStatistics statistics = seen(c, 3);
  double want = 0;
  for (const LayerMatrix& matrix : layer_matrices(c)) {
    const double error = squared_error(checkpoint, matrix, 7) * 9;
    const double outputs[] = {static_cast<double>(c.qkv_rows()), static_cast<double>(c.hidden),
                              static_cast<double>(c.up_rows()), static_cast<double>(c.hidden)};
    // Outputs are 3, the stream 6: a branch is a quarter of the stream's power.
    want += error / (outputs[static_cast<size_t>(matrix.product)] * 9) / 4;
  }
  EXPECT_NEAR(at(relative_omega({checkpoint, 0, statistics}), Format::kW4), want, 1e-4 * want);
}

TEST(RelativeIndicator, DoesNotDependOnTheScaleOfActivations) {
  const RandomCheckpoint checkpoint(small_opt());
  const LayerStatistics small = seen(small_opt(), 1), large = seen(small_opt(), 16);
  const ByFormat a = relative_omega({checkpoint, 0, small});
  const ByFormat b = relative_omega({checkpoint, 0, large});
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-12);
  EXPECT_GT(at(a, Format::kW3), at(a, Format::kW4));
  EXPECT_GT(at(a, Format::kW4), at(a, Format::kW8));
}

TEST(Indicators, DoNotDependOnThreads) {
  const RandomCheckpoint checkpoint(small_bloom());
  const LayerStatistics statistics = seen(small_bloom(), 2);
  EXPECT_EQ(hessian_omega({checkpoint, 1, statistics, 1}),
            hessian_omega({checkpoint, 1, statistics, 4}));
}

TEST(Indicators, KnowNothingOfALayerThatDidNotRun) {
  const auto backend = make_cpu_backend(1, "auto");
  EXPECT_THROW(StatisticsObserver(*backend).of(0), Error);
}

TEST(RandomIndicator, IsAFunctionOfTheSeed) {
  EXPECT_EQ(random_omega(8, 1), random_omega(8, 1));
  EXPECT_NE(random_omega(8, 1), random_omega(8, 2));
  const auto more = random_omega(9, 1);
  EXPECT_TRUE(std::equal(more.begin(), more.begin() + 8, random_omega(8, 1).begin()));
  for (const ByFormat& layer : more) {
    EXPECT_EQ(at(layer, Format::kBf16), 0);
    EXPECT_GT(at(layer, Format::kW3), at(layer, Format::kW4));
  }
}

}  // namespace
}  // namespace llmpq
