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

/// What an observer saw of one layer: inputs +-`size` in turn, outputs of `size` each.
LayerStatistics seen(const ModelConfig& c, float size) {
  const auto backend = make_cpu_backend(1, "auto");
  const auto context = backend->make_context();
  StatisticsObserver observer(*backend);
  const int64_t widths[kProducts][2] = {{c.hidden, c.qkv_rows()},
                                        {c.heads * c.head_dim, c.hidden},
                                        {c.hidden, c.up_rows()},
                                        {c.ffn, c.hidden}};
  constexpr int64_t kRows = 4;
  for (int product = 0; product < kProducts; ++product) {
    const auto [inputs, outputs] = widths[product];
    std::vector<float> x(static_cast<size_t>(kRows * inputs));
    for (size_t i = 0; i < x.size(); ++i) x[i] = i % 2 == 0 ? size : -size;
    const std::vector<float> y(static_cast<size_t>(kRows * outputs), size);
    observer.see_product(
        *context, {0, static_cast<Product>(product), kRows, x.data(), inputs, y.data(), outputs});
  }
  const std::vector<float> hidden(static_cast<size_t>(kRows * c.hidden), 2 * size);
  observer.see_hidden(*context, 0, hidden.data(), kRows, c.hidden);
  return observer.of(0);
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
  checkpoint.read_rows(matrix.role, 0, 0, matrix.rows, w);
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
