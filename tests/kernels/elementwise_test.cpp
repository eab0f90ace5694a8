// Embedding, norms, rope, activations, addition and gathering: closed forms in double, and the same
// bits on every machine. Widths that are no multiple of 16 included.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "kernels/convert.hpp"
#include "kernels/rope_tables.hpp"
#include "support.hpp"
#include "tolerance.hpp"

namespace llmpq::test {
namespace {

constexpr int64_t kWidths[] = {1, 15, 16, 20, 97, 192, 2048};

/// run(machine) on every machine gives the bits of the first; returns them.
template <typename Run>
std::vector<float> same_everywhere(Run run) {
  std::vector<float> first;
  for (const auto& machine : machines()) {
    const std::vector<float> result = run(*machine);
    if (first.empty()) {
      first = result;
    } else {
      expect_same_bits(result, first, machine->label);
    }
  }
  return first;
}

TEST(Norm, MatchesDouble) {
  using Kind = NormArgs::Kind;
  for (const Kind kind : {Kind::kRms, Kind::kLayer}) {
    for (const int64_t hidden : kWidths) {
      for (const bool with_add : {false, true}) {
        for (const bool with_bias : {false, true}) {
          const int64_t tokens = 37;
          Random random(static_cast<uint64_t>(hidden));
          const std::vector<float> x = random.vector(tokens * hidden, 3.0f);
          const std::vector<float> add = random.vector(tokens * hidden);
          const std::vector<float> weight = random.vector(hidden), bias = random.vector(hidden);
          const float eps = 1e-5f;
          std::vector<float> residual;
          const auto y = same_everywhere([&](Machine& machine) {
            residual = x;
            std::vector<float> result(x.size());
            machine.ops().norm(
                *machine.context,
                {kind, residual.data(), with_add ? add.data() : nullptr, weight.data(),
                 with_bias ? bias.data() : nullptr, eps, tokens, hidden, result.data()});
            return result;
          });
          std::vector<double> wanted, allowed;
          for (int64_t t = 0; t < tokens; ++t) {
            double mean = 0, square = 0;
            for (int64_t i = 0; i < hidden; ++i) {
              const float value = x[t * hidden + i] + (with_add ? add[t * hidden + i] : 0.0f);
              ASSERT_EQ(residual[t * hidden + i], value);
              mean += kind == Kind::kLayer ? static_cast<double>(value) / hidden : 0.0;
            }
            for (int64_t i = 0; i < hidden; ++i)
              square += (residual[t * hidden + i] - mean) * (residual[t * hidden + i] - mean);
            const double deviation = std::sqrt(square / hidden + eps);
            for (int64_t i = 0; i < hidden; ++i) {
              const double unit = (residual[t * hidden + i] - mean) / deviation;
              wanted.push_back(unit * weight[i] + (with_bias ? bias[i] : 0.0));
              // The mean's error counts absolutely, in units of the deviation.
              allowed.push_back(lane_sum_error(hidden) * (std::fabs(unit) + 4 / deviation) + 1e-7);
            }
          }
          expect_close(
              y, wanted, [&](size_t i) { return allowed[i]; }, "norm");
        }
      }
    }
  }
}

TEST(HeadNorm, IsTheNormOfEachHead) {
  const int64_t tokens = 7, heads = 3;
  for (const int64_t head_dim : {5, 16, 96, 130}) {
    const int64_t stride = heads * head_dim + 5;
    Random random(static_cast<uint64_t>(head_dim));
    const std::vector<float> x = random.vector(tokens * stride, 2.0f);
    const std::vector<float> weight = random.vector(head_dim);
    const auto y = same_everywhere([&](Machine& machine) {
      std::vector<float> result = x;
      machine.ops().head_norm(
          *machine.context, {result.data(), stride, weight.data(), 1e-6f, tokens, heads, head_dim});
      return result;
    });
    std::vector<float> wanted = x;
    Machine& machine = *machines().back();
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t head = 0; head < heads; ++head) {
        float* row = wanted.data() + t * stride + head * head_dim;
        machine.ops().norm(*machine.context, {NormArgs::Kind::kRms, row, nullptr, weight.data(),
                                              nullptr, 1e-6f, 1, head_dim, row});
      }
    EXPECT_NE(wanted, x);
    expect_same_bits(y, wanted, "heads of " + std::to_string(head_dim));
  }
}

TEST(Norm, MayBeInPlace) {
  Random random(2);
  const std::vector<float> x = random.vector(5 * 20), weight = random.vector(20);
  Machine& machine = *machines().back();
  std::vector<float> apart(x.size()), source = x, inside = x;
  machine.ops().norm(*machine.context, {NormArgs::Kind::kRms, source.data(), nullptr, weight.data(),
                                        nullptr, 1e-6f, 5, 20, apart.data()});
  machine.ops().norm(*machine.context, {NormArgs::Kind::kRms, inside.data(), nullptr, weight.data(),
                                        nullptr, 1e-6f, 5, 20, inside.data()});
  expect_same_bits(inside, apart, "in place");
  expect_same_bits(source, x, "x without add");
}

constexpr float kCap = 5;

double activate(ActivationArgs::Kind kind, double x) {
  using Kind = ActivationArgs::Kind;
  switch (kind) {
    case Kind::kSilu:
      return x / (1 + std::exp(-x));
    case Kind::kRelu:
      return x > 0 ? x : 0;
    case Kind::kGeluErf:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Kind::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Kind::kSoftCap:
      return kCap * std::tanh(x / kCap);
  }
  return NAN;
}

TEST(Activation, MatchesDouble) {
  using Kind = ActivationArgs::Kind;
  for (const Kind kind :
       {Kind::kSilu, Kind::kRelu, Kind::kGeluErf, Kind::kGeluTanh, Kind::kSoftCap}) {
    for (const bool gated : {false, true}) {
      for (const int64_t width : kWidths) {
        const int64_t tokens = 40, from = gated ? 2 * width : width;
        Random random(static_cast<uint64_t>(width));
        const std::vector<float> x = random.vector(tokens * from, 9.0f);
        const auto y = same_everywhere([&](Machine& machine) {
          std::vector<float> result(static_cast<size_t>(tokens * width));
          machine.ops().activation(*machine.context,
                                   {kind, gated, x.data(), tokens, width, result.data(), kCap});
          return result;
        });
        std::vector<double> wanted, allowed;
        for (int64_t t = 0; t < tokens; ++t)
          for (int64_t i = 0; i < width; ++i) {
            const double in = x[t * from + i];
            const double up = gated ? x[t * from + width + i] : 1.0;
            wanted.push_back(activate(kind, in) * up);
            allowed.push_back(8 * kUnit * std::fabs(in * up) + 1e-37);
          }
        expect_close(
            y, wanted, [&](size_t i) { return allowed[i]; },
            "activation " + std::to_string(static_cast<int>(kind)));
      }
    }
  }
}

TEST(Activation, KeepsNaN) {
  using Kind = ActivationArgs::Kind;
  const std::vector<float> x(17, std::nanf(""));
  for (const Kind kind :
       {Kind::kSilu, Kind::kRelu, Kind::kGeluErf, Kind::kGeluTanh, Kind::kSoftCap})
    for (const auto& machine : machines()) {
      std::vector<float> y(17);
      machine->ops().activation(*machine->context, {kind, false, x.data(), 1, 17, y.data(), kCap});
      for (const float value : y) EXPECT_TRUE(std::isnan(value)) << machine->label;
    }
}

TEST(Rope, RotatesPairsOfTheFirstElements) {
  const int64_t tokens = 9, heads = 3;
  for (const auto& [head_dim, rotary] :
       {std::pair<int64_t, int64_t>{8, 8}, {20, 20}, {64, 32}, {80, 80}, {96, 2}}) {
    const int64_t half = rotary / 2, stride = heads * head_dim + 5;
    std::vector<float> inv_freq, cosine(100 * half), sine(100 * half);
    for (int64_t i = 0; i < half; ++i) inv_freq.push_back(std::pow(100.0f, -1.0f * i / half));
    rope_tables(cosine.data(), sine.data(), 100, half, inv_freq.data(), 1.0f);
    Random random(8);
    const std::vector<float> x = random.vector(tokens * stride);
    std::vector<int32_t> position;
    for (int64_t t = 0; t < tokens; ++t)
      position.push_back(static_cast<int32_t>(random.below(100)));
    const auto y = same_everywhere([&](Machine& machine) {
      std::vector<float> result = x;
      machine.ops().rope(*machine.context, {result.data(), stride, position.data(), cosine.data(),
                                            sine.data(), tokens, heads, head_dim, rotary});
      return result;
    });
    std::vector<double> wanted(x.begin(), x.end());
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t head = 0; head < heads; ++head)
        for (int64_t i = 0; i < half; ++i) {
          const int64_t at = t * stride + head * head_dim + i;
          const double angle = static_cast<double>(position[t]) * inv_freq[i];
          wanted[at] = x[at] * std::cos(angle) - x[at + half] * std::sin(angle);
          wanted[at + half] = x[at + half] * std::cos(angle) + x[at] * std::sin(angle);
        }
    // The angle itself is rounded to f32: up to 100 * 2^-24.
    expect_close(
        y, wanted, [](size_t) { return 110 * kUnit; }, "rope");
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t i = rotary; i < head_dim; ++i) ASSERT_EQ(y[t * stride + i], x[t * stride + i]);
  }
}

TEST(Embed, AddsPositionsAndWidensEveryType) {
  const int64_t vocab = 50, hidden = 37, tokens = 21, max_positions = 30;
  Random random(6);
  const std::vector<float> table = random.vector(vocab * hidden);
  const std::vector<float> positions = random.vector(max_positions * hidden);
  std::vector<int32_t> ids, position;
  for (int64_t t = 0; t < tokens; ++t) {
    ids.push_back(static_cast<int32_t>(random.below(vocab)));
    position.push_back(static_cast<int32_t>(random.below(max_positions - 2)));
  }
  for (const DType type : {DType::kF32, DType::kBf16, DType::kF16}) {
    const auto stored = [&](const std::vector<float>& from) {
      std::vector<uint16_t> half(from.size());
      if (type == DType::kBf16) f32_to_bf16(from.data(), half.data(), int64_t(from.size()));
      if (type == DType::kF16) f32_to_f16(from.data(), half.data(), int64_t(from.size()));
      return half;
    };
    const auto value = [&](float from) {
      return type == DType::kBf16  ? bf16_to_f32(f32_to_bf16(from))
             : type == DType::kF16 ? f16_to_f32(f32_to_f16(from))
                                   : from;
    };
    const std::vector<uint16_t> half_table = stored(table), half_positions = stored(positions);
    const bool wide = type == DType::kF32;
    const void* table_data = wide ? static_cast<const void*>(table.data()) : half_table.data();
    const void* position_data =
        wide ? static_cast<const void*>(positions.data()) : half_positions.data();
    for (const auto& [with_positions, scale] :
         {std::pair{false, 1.0f}, {true, 1.0f}, {false, 2.3f}, {true, 2.3f}}) {
      const auto y = same_everywhere([&](Machine& machine) {
        std::vector<float> result(static_cast<size_t>(tokens * hidden));
        machine.ops().embed(*machine.context, {ids.data(), position.data(), table_data,
                                               with_positions ? position_data : nullptr, type, 2,
                                               tokens, hidden, result.data(), scale});
        return result;
      });
      for (int64_t t = 0; t < tokens; ++t)
        for (int64_t i = 0; i < hidden; ++i) {
          float want = value(table[ids[t] * hidden + i]) * scale;
          if (with_positions) want += value(positions[(position[t] + 2) * hidden + i]);
          ASSERT_EQ(y[t * hidden + i], want);
        }
    }
  }
}

TEST(AddAndGather, DoWhatTheySay) {
  Random random(10);
  const std::vector<float> x = random.vector(70000), add = random.vector(70000);
  const auto sums = same_everywhere([&](Machine& machine) {
    std::vector<float> result = x;
    machine.ops().add(*machine.context, {result.data(), add.data(), 69999});
    return result;
  });
  for (size_t i = 0; i < 69999; ++i) ASSERT_EQ(sums[i], x[i] + add[i]);
  EXPECT_EQ(sums[69999], x[69999]);

  const std::vector<int32_t> index = {4, 0, 4, 99};
  const auto rows = same_everywhere([&](Machine& machine) {
    std::vector<float> result(4 * 700);
    machine.ops().gather_rows(*machine.context, {x.data(), index.data(), 4, 700, result.data()});
    return result;
  });
  for (size_t r = 0; r < 4; ++r)
    for (size_t i = 0; i < 700; ++i) ASSERT_EQ(rows[r * 700 + i], x[index[r] * 700 + i]);
}

TEST(AddRows, AddsEachRowByItsWeight) {
  const int64_t width = 37;
  Random random(12);
  const std::vector<float> x = random.vector(9 * width), add = random.vector(3 * width);
  const std::vector<int32_t> index = {7, 0, 4};
  const std::vector<float> weight = {0.3f, -2.0f, 1.7f};
  const auto sums = same_everywhere([&](Machine& machine) {
    std::vector<float> result = x;
    machine.ops().add_rows(*machine.context,
                           {result.data(), add.data(), index.data(), weight.data(), 3, width});
    return result;
  });
  std::vector<float> wanted = x;
  for (int64_t t = 0; t < 3; ++t)
    for (int64_t i = 0; i < width; ++i)
      wanted[index[t] * width + i] =
          std::fma(weight[t], add[t * width + i], wanted[index[t] * width + i]);
  expect_same_bits(sums, wanted, "add_rows");
}

/// The chosen experts by sorting, their weights in double.
TEST(Route, ChoosesTheLargestAndSortsRowsByExpert) {
  for (const auto& [rows, experts, chosen] :
       {std::tuple<int64_t, int64_t, int64_t>{1, 4, 2}, {61, 8, 3}, {40, 128, 8}, {5, 3, 3}}) {
    for (const bool normalized : {false, true}) {
      Random random(static_cast<uint64_t>(experts));
      std::vector<float> logits = random.vector(rows * experts, 3.0f);
      logits[1] = logits[0];  // a tie: the lower index comes first
      std::vector<int32_t> expert(rows * chosen), row(expert), begin(experts + 1), host(begin);
      std::vector<float> row_weight(expert.size());
      const auto weight = same_everywhere([&](Machine& machine) {
        std::vector<float> sorted(expert.size());
        machine.ops().route(*machine.context, {logits.data(), rows, experts, chosen, normalized,
                                               expert.data(), row_weight.data(), row.data(),
                                               sorted.data(), begin.data(), host.data()});
        return sorted;
      });
      EXPECT_EQ(begin, host);
      ASSERT_EQ(begin.front(), 0);
      ASSERT_EQ(begin.back(), rows * chosen);
      std::vector<int64_t> seen(rows);
      for (int64_t e = 0; e < experts; ++e)
        for (int32_t i = begin[e]; i < begin[e + 1]; ++i) {
          const float* of_row = logits.data() + row[i] * experts;
          EXPECT_TRUE(i == begin[e] || row[i] > row[i - 1]);
          int64_t larger = 0;
          double total = 0, sum_of_chosen = 0;
          std::vector<double> mass;
          for (int64_t o = 0; o < experts; ++o) {
            larger += of_row[o] > of_row[e] || (of_row[o] == of_row[e] && o < e) ? 1 : 0;
            mass.push_back(std::exp(static_cast<double>(of_row[o])));
            total += mass.back();
          }
          std::vector<double> largest_first = mass;
          std::sort(largest_first.rbegin(), largest_first.rend());
          for (int64_t o = 0; o < chosen; ++o) sum_of_chosen += largest_first[o];
          EXPECT_LT(larger, chosen) << "expert " << e << " of row " << row[i];
          const double wanted = mass[e] / (normalized ? sum_of_chosen : total);
          EXPECT_NEAR(weight[i], wanted, 1e-5 * wanted);
          ++seen[row[i]];
        }
      for (const int64_t count : seen) EXPECT_EQ(count, chosen);
    }
  }
}

}  // namespace
}  // namespace llmpq::test
