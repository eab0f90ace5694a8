// GPTQ against the paper's own procedure done naively, with an inverse for every column; and what
// it is for: less loss on the inputs than rounding to nearest.
#include "layer/gptq.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/expect_error.hpp"
#include "kernels/cpu/pack.hpp"
#include "layer/dense.hpp"
#include "layer/random.hpp"

namespace llmpq {
namespace {

using Doubles = std::vector<double>;

std::vector<float> random_values(int64_t count, uint64_t seed) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(draw_bits(seed, 0, i) >> 40) * 0x1p-23f - 1.0f);
  return values;
}

/// Rows that have much in common, as the inputs of a layer have.
std::vector<float> correlated_inputs(int64_t tokens, int64_t width) {
  constexpr int64_t kSources = 20;
  const auto sources = random_values(tokens * kSources, 1),
             mix = random_values(kSources * width, 2), own = random_values(tokens * width, 3);
  std::vector<float> x(own.size());
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i < width; ++i) {
      float sum = own[t * width + i] * 0.3f;
      for (int64_t s = 0; s < kSources; ++s) sum += sources[t * kSources + s] * mix[s * width + i];
      x[t * width + i] = sum;
    }
  return x;
}

Doubles hessian_of(const std::vector<float>& x, int64_t width, ThreadPool& pool) {
  InputHessian sum(width);
  sum.add_rows(x.data(), std::ssize(x) / width, pool);
  return sum.take(pool);
}

/// The whole symmetric matrix from its upper triangle, damped as GPTQ does it.
Doubles damped(Doubles h, int64_t n) {
  double trace = 0;
  for (int64_t i = 0; i < n; ++i) trace += h[i * n + i];
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j) h[i * n + j] = h[j * n + i];
    h[i * n + i] += Gptq::kDamping * trace / static_cast<double>(n);
  }
  return h;
}

/// Gauss and Jordan, of the part of h with rows and columns from `first` on.
Doubles inverse_from(const Doubles& h, int64_t n, int64_t first) {
  const int64_t m = n - first;
  Doubles a(m * m), inverse(m * m);
  for (int64_t i = 0; i < m; ++i) {
    inverse[i * m + i] = 1;
    for (int64_t j = 0; j < m; ++j) a[i * m + j] = h[(first + i) * n + first + j];
  }
  for (int64_t p = 0; p < m; ++p) {
    const double pivot = a[p * m + p];
    for (int64_t j = 0; j < m; ++j) {
      a[p * m + j] /= pivot;
      inverse[p * m + j] /= pivot;
    }
    for (int64_t i = 0; i < m; ++i) {
      const double factor = a[i * m + p];
      if (i == p || factor == 0) continue;
      for (int64_t j = 0; j < m; ++j) {
        a[i * m + j] -= factor * a[p * m + j];
        inverse[i * m + j] -= factor * inverse[p * m + j];
      }
    }
  }
  return inverse;
}

/// Optimal brain quantization of a row in the order of the columns, as the paper has it: round a
/// column, and add to those that follow what minimizes the loss, by the inverse of their Hessian.
/// inverses[i]: of the part from column i on.
std::vector<float> naive_row(const std::vector<Doubles>& inverses, Format format,
                             const float* weights) {
  const int64_t n = std::ssize(inverses);
  Doubles w(weights, weights + n);
  std::vector<float> rounded;
  const double max_abs = info(format).max_abs;
  float scale = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (i % kGroup == 0) {
      double largest = 0;
      for (int64_t j = i; j < std::min(n, i + kGroup); ++j)
        largest = std::max(largest, std::fabs(w[j]));
      scale = static_cast<float>(largest / max_abs);
    }
    const double q = std::clamp(w[i] / scale, -max_abs, max_abs);
    rounded.push_back(static_cast<float>(std::nearbyint(q)) * scale);
    const Doubles& inverse = inverses[i];
    const double error = (w[i] - rounded.back()) / inverse[0];
    for (int64_t j = i; j < n; ++j) w[j] -= error * inverse[j - i];
  }
  return rounded;
}

double loss(const Doubles& h, int64_t n, const float* w, const float* q) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      sum += (double{w[i]} - q[i]) * h[i * n + j] * (double{w[j]} - q[j]);
  return sum;
}

std::vector<float> round_to_nearest(Format format, int64_t rows, int64_t n,
                                    const std::vector<float>& weights) {
  std::vector<std::byte> memory(static_cast<size_t>(packed_bytes(format, rows, n)));
  Matrix packed{format, rows, n, {}};
  packed.packed = Buffer(memory.data(), std::ssize(memory), [](void*) {});
  for (int64_t row = 0; row < rows; ++row)
    pack_row(format, rows, n, row, weights.data() + row * n, memory.data());
  std::vector<float> values(weights.size());
  unpack_rows(packed, 0, rows, values.data());
  return values;
}

struct Rounded {
  std::vector<float> values, scales;
};
Rounded round_by_gptq(const Gptq& gptq, Format format, const std::vector<float>& weights) {
  const int64_t rows = std::ssize(weights) / gptq.inputs();
  Rounded result{weights, std::vector<float>(rows * groups_of(gptq.inputs()))};
  gptq.round_rows(format, rows, result.values, result.scales);
  return result;
}

constexpr Format kIntegers[] = {Format::kW8, Format::kW4, Format::kW3};

TEST(Dense, TheFactorTimesItsTransposeIsTheMatrix) {
  for (const int64_t n : {1, 5, 64, 150, 200}) {
    ThreadPool one(1), three(3);
    const Doubles h = damped(hessian_of(correlated_inputs(70, n), n, one), n);
    Doubles u = h, other = h;
    factor_upper(u.data(), n, one);
    factor_upper(other.data(), n, three);
    EXPECT_EQ(u, other) << "threads change bits";
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = i; j < n; ++j) {
        double sum = 0;
        for (int64_t l = j; l < n; ++l) sum += u[i * n + l] * u[j * n + l];
        ASSERT_NEAR(sum, h[i * n + j], 1e-12 * h[j * n + j] * n) << n << ": " << i << ", " << j;
      }
  }
}

TEST(Dense, AMatrixThatIsNotPositiveDefiniteIsRefused) {
  ThreadPool pool(1);
  Doubles h = {1, 2, 2, 1};
  EXPECT_ERROR(factor_upper(h.data(), 2, pool), Exit::kInternal, "positive definite");
}

TEST(InputHessian, IsTheSumHoweverTheRowsCome) {
  const int64_t tokens = 700, n = 90;
  const auto x = correlated_inputs(tokens, n);
  ThreadPool one(1), three(3);
  const Doubles whole = hessian_of(x, n, one);
  InputHessian pieces(n);
  for (int64_t row = 0; row < tokens; row += 37)
    pieces.add_rows(x.data() + row * n, std::min<int64_t>(37, tokens - row), three);
  EXPECT_EQ(pieces.take(three), whole);
  EXPECT_EQ(pieces.tokens(), tokens);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = i; j < n; ++j) {
      double sum = 0;
      for (int64_t t = 0; t < tokens; ++t) sum += double{x[t * n + i]} * x[t * n + j];
      ASSERT_NEAR(whole[i * n + j], sum, 1e-9 * tokens);
    }
}

TEST(Gptq, RoundsAsThePapersProcedure) {
  const int64_t rows = 3, n = 150;
  ThreadPool pool(2);
  const Doubles seen = hessian_of(correlated_inputs(100, n), n, pool);
  const Doubles h = damped(seen, n);
  std::vector<Doubles> inverses;
  for (int64_t i = 0; i < n; ++i) inverses.push_back(inverse_from(h, n, i));
  const auto weights = random_values(rows * n, 4);
  const Gptq gptq(seen, n, pool);
  for (const Format format : kIntegers) {
    const Rounded got = round_by_gptq(gptq, format, weights);
    for (int64_t row = 0; row < rows; ++row) {
      const auto wanted = naive_row(inverses, format, weights.data() + row * n);
      for (int64_t i = 0; i < n; ++i)  // another integer would be off by a scale
        ASSERT_NEAR(got.values[row * n + i], wanted[i],
                    1e-3 * got.scales[row * groups_of(n) + i / kGroup])
            << name(format) << ", row " << row << ", column " << i;
    }
  }
}

TEST(Gptq, LosesLessThanRoundingToNearest) {
  const int64_t rows = 4, n = 300;
  ThreadPool pool(2);
  const Doubles seen = hessian_of(correlated_inputs(400, n), n, pool);
  const Doubles h = damped(seen, n);
  const auto weights = random_values(rows * n, 5);
  const Gptq gptq(seen, n, pool);
  for (const Format format : kIntegers) {
    const Rounded got = round_by_gptq(gptq, format, weights);
    const auto nearest = round_to_nearest(format, rows, n, weights);
    double mine = 0, theirs = 0;
    for (int64_t row = 0; row < rows; ++row) {
      mine += loss(h, n, weights.data() + row * n, got.values.data() + row * n);
      theirs += loss(h, n, weights.data() + row * n, nearest.data() + row * n);
    }
    EXPECT_LT(mine, 0.5 * theirs) << name(format);
    EXPECT_GT(mine, 0) << name(format);
  }
}

TEST(Gptq, WithoutInputsItRoundsToNearest) {
  const int64_t rows = 2, n = 140;
  ThreadPool pool(1);
  const auto weights = random_values(rows * n, 6);
  const Gptq gptq(Doubles(n * n), n, pool);
  for (const Format format : kIntegers)
    EXPECT_EQ(round_by_gptq(gptq, format, weights).values,
              round_to_nearest(format, rows, n, weights))
        << name(format);
}

TEST(Gptq, ARowIsTheSameAloneAndBesideOthersForAnyThreads) {
  const int64_t rows = 7, n = 260;
  ThreadPool one(1), three(3);
  const Doubles seen = hessian_of(correlated_inputs(90, n), n, one);
  const auto weights = random_values(rows * n, 7);
  const Gptq gptq(seen, n, one), other(seen, n, three);
  const Rounded all = round_by_gptq(gptq, Format::kW3, weights);
  EXPECT_EQ(round_by_gptq(other, Format::kW3, weights).values, all.values);
  for (int64_t row = 0; row < rows; ++row) {
    const std::vector<float> alone(weights.begin() + row * n, weights.begin() + (row + 1) * n);
    EXPECT_EQ(round_by_gptq(gptq, Format::kW3, alone).values,
              std::vector<float>(all.values.begin() + row * n, all.values.begin() + (row + 1) * n));
  }
}

TEST(Gptq, WhatIsPackedIsWhatWasChosen) {
  const int64_t rows = 5, n = 200;
  ThreadPool pool(1);
  const Gptq gptq(hessian_of(correlated_inputs(90, n), n, pool), n, pool);
  for (const Format format : kIntegers) {
    const Rounded chosen = round_by_gptq(gptq, format, random_values(rows * n, 8));
    std::vector<std::byte> memory(static_cast<size_t>(packed_bytes(format, rows, n)));
    Matrix packed{format, rows, n, {}};
    packed.packed = Buffer(memory.data(), std::ssize(memory), [](void*) {});
    for (int64_t row = 0; row < rows; ++row)
      pack_scaled_row(format, rows, n, row, chosen.values.data() + row * n,
                      chosen.scales.data() + row * groups_of(n), memory.data());
    std::vector<float> values(chosen.values.size());
    unpack_rows(packed, 0, rows, values.data());
    EXPECT_EQ(values, chosen.values) << name(format);
  }
}

TEST(Gptq, InputsThatAreNotFiniteAreRefused) {
  ThreadPool pool(1);
  EXPECT_ERROR(Gptq(Doubles(9, NAN), 3, pool), Exit::kModel, "are not finite");
}

}  // namespace
}  // namespace llmpq
