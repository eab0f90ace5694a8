// Matrix products: every format and activation type, odd and real shapes, against double sums, and
// bit for bit across instruction sets, threads and batches.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "kernels/convert.hpp"
#include "support.hpp"
#include "tolerance.hpp"

namespace llmpq::test {
namespace {

struct Shape {
  int64_t tokens, n, k;
};

struct Case {
  Format format;
  ActivationType activation;
  Shape shape;
};

std::string label(const Case& c) {
  const char* activation = c.activation == ActivationType::kF32    ? "f32"
                           : c.activation == ActivationType::kBf16 ? "bf16"
                           : c.activation == ActivationType::kF16  ? "f16"
                                                                   : "int8";
  return std::string(name(c.format)) + "_" + activation + "_" + std::to_string(c.shape.tokens) +
         "x" + std::to_string(c.shape.n) + "x" + std::to_string(c.shape.k);
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const FormatInfo& format : kFormats)
    for (const ActivationType activation :
         {ActivationType::kF32, ActivationType::kBf16, ActivationType::kF16, ActivationType::kInt8})
      for (const Shape& shape :
           {Shape{1, 1, 1}, Shape{2, 3, 5}, Shape{5, 17, 127}, Shape{13, 33, 129},
            Shape{3, 48, 255}, Shape{97, 40, 131}, Shape{7, 192, 512}, Shape{30, 512, 192},
            Shape{8, 48, 1500}, Shape{4, 40, 700}, Shape{200, 64, 20}, Shape{2, 2048, 5632}})
        cases.push_back({format.format, activation, shape});
  return cases;
}

/// Row `x` as the product sees it, in double, by the rule of the activation type.
std::vector<double> rounded_inputs(const float* x, int64_t k, ActivationType activation) {
  std::vector<double> result(x, x + k);
  if (activation == ActivationType::kBf16)
    for (int64_t i = 0; i < k; ++i) result[i] = bf16_to_f32(f32_to_bf16(x[i]));
  if (activation == ActivationType::kF16)
    for (int64_t i = 0; i < k; ++i) result[i] = f16_to_f32(f32_to_f16(x[i]));
  if (activation == ActivationType::kInt8) {
    for (int64_t begin = 0; begin < k; begin += kGroup) {
      const int64_t end = std::min(k, begin + kGroup);
      float largest = 0;
      for (int64_t i = begin; i < end; ++i) largest = std::max(largest, std::fabs(x[i]));
      const float scale = largest / 127.0f;
      for (int64_t i = begin; i < end; ++i)
        result[i] = scale > 0 ? std::nearbyint(x[i] / scale) * static_cast<double>(scale) : 0.0;
    }
  }
  return result;
}

struct Problem {
  Case c;
  std::vector<float> weights, x, bias;

  explicit Problem(const Case& which) : c(which) {
    Random random(static_cast<uint64_t>(c.shape.n * 1000 + c.shape.k));
    weights = random.vector(c.shape.n * c.shape.k, 0.7f);
    x = random.vector(c.shape.tokens * c.shape.k, 3.0f);
    bias = random.vector(c.shape.n, 0.5f);
  }

  /// Rows [begin, end) computed by themselves; y has a stride of its own, and what lies between
  /// the rows must stay untouched.
  std::vector<float> run(Machine& machine, const Matrix& w, int64_t begin, int64_t end,
                         bool with_bias) const {
    const int64_t n = c.shape.n, stride = n + 3, tokens = end - begin;
    std::vector<float> y(static_cast<size_t>(tokens * stride), -77.0f);
    machine.ops().linear(*machine.context,
                         {x.data() + begin * c.shape.k, &w, with_bias ? bias.data() : nullptr,
                          c.activation, tokens, y.data(), stride});
    std::vector<float> result;
    for (int64_t t = 0; t < tokens; ++t) {
      result.insert(result.end(), y.begin() + t * stride, y.begin() + t * stride + n);
      for (int64_t i = n; i < stride; ++i) EXPECT_EQ(y[t * stride + i], -77.0f);
    }
    return result;
  }
};

class LinearTest : public testing::TestWithParam<Case> {};

TEST_P(LinearTest, MatchesTheDoubleSum) {
  const Problem problem(GetParam());
  const auto [tokens, n, k] = problem.c.shape;
  Machine& machine = *machines().back();
  const Matrix w = packed_matrix(machine, problem.c.format, n, k, problem.weights);
  std::vector<float> row(static_cast<size_t>(k));
  std::vector<std::vector<double>> inputs;
  for (int64_t t = 0; t < tokens; ++t)
    inputs.push_back(rounded_inputs(problem.x.data() + t * k, k, problem.c.activation));
  std::vector<double> wanted(static_cast<size_t>(tokens * n)), allowed(wanted.size());
  for (int64_t o = 0; o < n; ++o) {
    unpack_row(w, o, row.data());
    for (int64_t t = 0; t < tokens; ++t) {
      double total = problem.bias[o], magnitudes = std::fabs(problem.bias[o]);
      for (int64_t i = 0; i < k; ++i) {
        total += inputs[t][i] * row[i];
        magnitudes += std::fabs(inputs[t][i] * row[i]);
      }
      wanted[t * n + o] = total;
      allowed[t * n + o] = linear_error(problem.c.activation, problem.c.format, k, magnitudes);
    }
  }
  expect_close(
      problem.run(machine, w, 0, tokens, true), wanted, [&](size_t i) { return allowed[i]; },
      label(problem.c));
}

TEST_P(LinearTest, SameBitsOnEveryMachine) {
  const Problem problem(GetParam());
  const auto [tokens, n, k] = problem.c.shape;
  const Matrix w = packed_matrix(*machines().front(), problem.c.format, n, k, problem.weights);
  const std::vector<float> wanted = problem.run(*machines().front(), w, 0, tokens, false);
  for (const auto& machine : machines())
    expect_same_bits(problem.run(*machine, w, 0, tokens, false), wanted, machine->label);
}

TEST_P(LinearTest, ARowIsTheSameAloneAndInABatch) {
  const Problem problem(GetParam());
  const auto [tokens, n, k] = problem.c.shape;
  Machine& machine = *machines().back();
  const Matrix w = packed_matrix(machine, problem.c.format, n, k, problem.weights);
  const std::vector<float> all = problem.run(machine, w, 0, tokens, true);
  const int64_t step = std::max<int64_t>(1, tokens / 16);
  for (int64_t t = 0; t < tokens; t += step) {
    const std::vector<float> alone = problem.run(machine, w, t, t + 1, true);
    const std::vector<float> row(all.begin() + t * n, all.begin() + (t + 1) * n);
    expect_same_bits(alone, row, "row " + std::to_string(t));
  }
}

INSTANTIATE_TEST_SUITE_P(All, LinearTest, testing::ValuesIn(all_cases()),
                         [](const auto& info) { return label(info.param); });

TEST(Linear, AnInputThatIsNotFiniteShowsInItsRowOnly) {
  for (const FormatInfo& format : kFormats) {
    for (const auto& machine : machines()) {
      Random random(3);
      const Matrix w = packed_matrix(*machine, format.format, 20, 150, random.vector(20 * 150));
      std::vector<float> x = random.vector(3 * 150), y(3 * 20);
      x[150 + 140] = std::nanf("");
      machine->ops().linear(*machine->context,
                            {x.data(), &w, nullptr, ActivationType::kInt8, 3, y.data(), 20});
      for (int64_t i = 0; i < 60; ++i)
        EXPECT_EQ(std::isnan(y[i]), i / 20 == 1)
            << format.name << " " << machine->label << " " << i;
    }
  }
}

TEST(Linear, TheLowestIntegerCountsLikeAllOthers) {
  const int64_t tokens = 3, n = 20, k = 300;
  Random random(8);
  const std::vector<float> x = random.vector(tokens * k);
  for (const Format format : {Format::kW8, Format::kW4, Format::kW3}) {
    const auto [values, scales] = scaled_rows(format, n, k);
    for (const ActivationType activation : {ActivationType::kF32, ActivationType::kInt8})
      for (const auto& machine : machines()) {
        Matrix w = packed_matrix(*machine, format, n, k, values);
        machine->backend->pack_scaled_rows(*machine->context, w, 0, n, values.data(),
                                           scales.data());
        std::vector<float> y(static_cast<size_t>(tokens * n));
        machine->ops().linear(*machine->context,
                              {x.data(), &w, nullptr, activation, tokens, y.data(), n});
        std::vector<double> wanted(y.size()), allowed(y.size());
        for (int64_t t = 0; t < tokens; ++t) {
          const std::vector<double> inputs = rounded_inputs(x.data() + t * k, k, activation);
          for (int64_t o = 0; o < n; ++o) {
            double magnitudes = 0;
            for (int64_t i = 0; i < k; ++i) {
              wanted[t * n + o] += inputs[i] * values[o * k + i];
              magnitudes += std::fabs(inputs[i] * values[o * k + i]);
            }
            allowed[t * n + o] = linear_error(activation, format, k, magnitudes);
          }
        }
        expect_close(
            y, wanted, [&](size_t i) { return allowed[i]; }, machine->label);
      }
  }
}

TEST(Linear, NoTokensIsNoWork) {
  Machine& machine = *machines().front();
  Random random(1);
  const Matrix w = packed_matrix(machine, Format::kW4, 16, 16, random.vector(256));
  machine.ops().linear(*machine.context,
                       {nullptr, &w, nullptr, ActivationType::kInt8, 0, nullptr, 16});
}

}  // namespace
}  // namespace llmpq::test
