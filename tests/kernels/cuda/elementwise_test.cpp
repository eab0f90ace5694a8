// Embedding, norms, rope, activations, addition and gathering on a GPU against the CPU: the same
// bits where both do the same operations, a few roundings apart where sums have another order or
// exp, erf and tanh are others. Odd widths take the kernels' scalar way, the others that of packs
// of four.
#include <tuple>

#include "kernels/convert.hpp"
#include "kernels/cuda/gpu.hpp"
#include "kernels/rope_tables.hpp"
#include "kernels/tolerance.hpp"

namespace llmpq::test {
namespace {

constexpr int64_t kWidths[] = {1, 15, 16, 20, 97, 192, 2048, 4096 + 3, 5120, 20000, 9001};

class GpuElementwiseTest : public GpuTest {
 protected:
  static OnDevice<float> put(const std::vector<float>& values) {
    return OnDevice<float>(gpu(), stream(), values);
  }
  static OnDevice<int32_t> put(const std::vector<int32_t>& values) {
    return OnDevice<int32_t>(gpu(), stream(), values);
  }
};

struct NormCase {
  NormArgs::Kind kind;
  int64_t hidden;
  bool with_add, with_bias, in_place;
};

std::vector<NormCase> norm_cases() {
  std::vector<NormCase> cases;
  for (const auto kind : {NormArgs::Kind::kRms, NormArgs::Kind::kLayer})
    for (const int64_t hidden : kWidths)
      for (const bool with_add : {false, true})
        for (const bool with_bias : {false, true})
          cases.push_back({kind, hidden, with_add, with_bias, hidden % 3 == 0});
  return cases;
}

double deviation_of(NormArgs::Kind kind, const float* x, int64_t hidden, double eps) {
  double mean = 0, square = 0;
  for (int64_t i = 0; i < hidden; ++i)
    mean += kind == NormArgs::Kind::kLayer ? static_cast<double>(x[i]) / hidden : 0.0;
  for (int64_t i = 0; i < hidden; ++i) square += (x[i] - mean) * (x[i] - mean);
  return std::sqrt(square / hidden + eps);
}

TEST_F(GpuElementwiseTest, NormIsCloseToTheCpus) {
  const int64_t tokens = 13;
  const float eps = 1e-5f;
  for (const NormCase& c : norm_cases()) {
    Random random(static_cast<uint64_t>(c.hidden));
    std::vector<float> x = random.vector(tokens * c.hidden, 3.0f), y(x.size());
    const std::vector<float> add = random.vector(tokens * c.hidden);
    const std::vector<float> weight = random.vector(c.hidden), bias = random.vector(c.hidden);
    auto gpu_x = put(x), gpu_y = put(y), gpu_add = put(add), gpu_weight = put(weight),
         gpu_bias = put(bias);
    gpu().ops().norm(stream(), {c.kind, gpu_x.data(), c.with_add ? gpu_add.data() : nullptr,
                                gpu_weight.data(), c.with_bias ? gpu_bias.data() : nullptr, eps,
                                tokens, c.hidden, c.in_place ? gpu_x.data() : gpu_y.data()});
    cpu().ops().norm(*cpu().context,
                     {c.kind, x.data(), c.with_add ? add.data() : nullptr, weight.data(),
                      c.with_bias ? bias.data() : nullptr, eps, tokens, c.hidden, y.data()});
    if (!c.in_place) expect_same_bits(gpu_x.values(), x, "the residual stream");
    // Either sum is off by lane_sum_error at most; the mean's error counts in deviations.
    std::vector<double> allowed;
    for (int64_t t = 0; t < tokens; ++t) {
      const double deviation = deviation_of(c.kind, x.data() + t * c.hidden, c.hidden, eps);
      for (int64_t i = 0; i < c.hidden; ++i) {
        const double unit = std::fabs(y[t * c.hidden + i]) + (c.with_bias ? 1 : 0);
        allowed.push_back(2 * lane_sum_error(c.hidden) * (unit + 4 / deviation) + 1e-7);
      }
    }
    expect_close((c.in_place ? gpu_x : gpu_y).values(), std::vector<double>(y.begin(), y.end()),
                 [&](size_t i) { return allowed[i]; }, "norm of " + std::to_string(c.hidden));
  }
}

TEST_F(GpuElementwiseTest, NormOfARowDoesNotDependOnItsNeighbours) {
  const int64_t tokens = 9, hidden = 192;
  Random random(4);
  const std::vector<float> x = random.vector(tokens * hidden), weight = random.vector(hidden);
  auto gpu_x = put(x), gpu_weight = put(weight), all = put(x), one = put(weight);
  const auto run = [&](int64_t t, int64_t rows, float* y) {
    gpu().ops().norm(stream(), {NormArgs::Kind::kRms, gpu_x.data() + t * hidden, nullptr,
                                gpu_weight.data(), nullptr, 1e-6f, rows, hidden, y});
  };
  run(0, tokens, all.data());
  const std::vector<float> together = all.values();
  for (int64_t t = 0; t < tokens; ++t) {
    run(t, 1, one.data());
    expect_same_bits(
        one.values(),
        std::vector<float>(together.begin() + t * hidden, together.begin() + (t + 1) * hidden),
        "row " + std::to_string(t));
  }
}

TEST_F(GpuElementwiseTest, HeadNormIsCloseToTheCpus) {
  const int64_t tokens = 6, heads = 5;
  for (const int64_t head_dim : {5, 64, 128, 301}) {
    const int64_t stride = heads * head_dim + 3;
    Random random(static_cast<uint64_t>(head_dim));
    std::vector<float> x = random.vector(tokens * stride, 2.0f);
    const std::vector<float> weight = random.vector(head_dim);
    auto gpu_x = put(x), gpu_weight = put(weight);
    gpu().ops().head_norm(
        stream(), {gpu_x.data(), stride, gpu_weight.data(), 1e-6f, tokens, heads, head_dim});
    cpu().ops().head_norm(*cpu().context,
                          {x.data(), stride, weight.data(), 1e-6f, tokens, heads, head_dim});
    expect_close(
        gpu_x.values(), std::vector<double>(x.begin(), x.end()),
        [&](size_t i) { return 2 * lane_sum_error(head_dim) * std::fabs(x[i]) + 1e-7; },
        "heads of " + std::to_string(head_dim));
  }
}

TEST_F(GpuElementwiseTest, ActivationIsCloseToTheCpus) {
  using Kind = ActivationArgs::Kind;
  const int64_t tokens = 7;
  for (const Kind kind :
       {Kind::kSilu, Kind::kRelu, Kind::kGeluErf, Kind::kGeluTanh, Kind::kSoftCap})
    for (const bool gated : {false, true})
      for (const int64_t width : kWidths) {
        Random random(static_cast<uint64_t>(width));
        std::vector<float> x = random.vector(tokens * width * (gated ? 2 : 1), 9.0f);
        x[0] = NAN;
        std::vector<float> y(static_cast<size_t>(tokens * width));
        auto gpu_x = put(x), gpu_y = put(y);
        gpu().ops().activation(stream(),
                               {kind, gated, gpu_x.data(), tokens, width, gpu_y.data(), 5.0f});
        cpu().ops().activation(*cpu().context,
                               {kind, gated, x.data(), tokens, width, y.data(), 5.0f});
        std::vector<float> got = gpu_y.values();
        EXPECT_TRUE(std::isnan(got[0]) && std::isnan(y[0])) << "NaN stays NaN";
        got[0] = y[0] = 0;
        // Either is at most 8 roundings away from the truth, relative to |x up|.
        expect_close(
            got, std::vector<double>(y.begin(), y.end()),
            [&](size_t i) {
              const size_t t = i / static_cast<size_t>(width), at = i % static_cast<size_t>(width);
              const float* row = x.data() + t * static_cast<size_t>(width * (gated ? 2 : 1));
              return 16 * kUnit * std::fabs(row[at] * (gated ? row[at + width] : 1.0)) + 2e-37;
            },
            "activation " + std::to_string(static_cast<int>(kind)) + " of " +
                std::to_string(width));
      }
}

TEST_F(GpuElementwiseTest, RopeHasTheBitsOfTheCpu) {
  const int64_t tokens = 9, heads = 5, positions = 100;
  for (const auto& [head_dim, rotary] : {std::pair<int64_t, int64_t>{8, 8},
                                         {20, 20},
                                         {64, 32},
                                         {128, 128},
                                         {80, 80},
                                         {96, 2},
                                         {30, 30}})
    for (const int64_t more : {0, 4, 5}) {
      const int64_t half = rotary / 2, stride = heads * head_dim + more;
      std::vector<float> frequency, cosine(positions * half), sine(positions * half);
      for (int64_t i = 0; i < half; ++i) frequency.push_back(std::pow(100.0f, -1.0f * i / half));
      rope_tables(cosine.data(), sine.data(), positions, half, frequency.data(), 1.0f);
      Random random(8);
      std::vector<float> x = random.vector(tokens * stride);
      std::vector<int32_t> position;
      for (int64_t t = 0; t < tokens; ++t)
        position.push_back(static_cast<int32_t>(random.below(positions)));
      auto gpu_x = put(x), gpu_cosine = put(cosine), gpu_sine = put(sine);
      auto gpu_position = put(position);
      gpu().ops().rope(stream(), {gpu_x.data(), stride, gpu_position.data(), gpu_cosine.data(),
                                  gpu_sine.data(), tokens, heads, head_dim, rotary});
      cpu().ops().rope(*cpu().context, {x.data(), stride, position.data(), cosine.data(),
                                        sine.data(), tokens, heads, head_dim, rotary});
      expect_same_bits(gpu_x.values(), x, "rope of " + std::to_string(head_dim));
    }
}

TEST_F(GpuElementwiseTest, EmbedHasTheBitsOfTheCpu) {
  const int64_t vocab = 50, tokens = 21, max_positions = 30;
  for (const int64_t hidden : {1, 20, 37, 97, 2048, 4096 + 3})
    for (const DType type : {DType::kF32, DType::kBf16, DType::kF16}) {
      Random random(static_cast<uint64_t>(hidden));
      // As table elements of 16 bits: two of them in each of these floats.
      const auto table_of = [&](int64_t rows) {
        std::vector<float> values = random.vector(rows * hidden);
        std::vector<uint16_t> half(values.size());
        if (type == DType::kBf16) f32_to_bf16(values.data(), half.data(), rows * hidden);
        if (type == DType::kF16) f32_to_f16(values.data(), half.data(), rows * hidden);
        if (type != DType::kF32) std::memcpy(values.data(), half.data(), half.size() * 2);
        return values;
      };
      const std::vector<float> table = table_of(vocab), positions = table_of(max_positions);
      std::vector<int32_t> ids, position;
      for (int64_t t = 0; t < tokens; ++t) {
        ids.push_back(static_cast<int32_t>(random.below(vocab)));
        position.push_back(static_cast<int32_t>(random.below(max_positions - 2)));
      }
      auto gpu_table = put(table), gpu_positions = put(positions);
      auto gpu_ids = put(ids), gpu_position = put(position);
      for (const auto& [with_positions, scale] :
           {std::pair{false, 1.0f}, {true, 1.0f}, {true, 2.3f}}) {
        std::vector<float> y(static_cast<size_t>(tokens * hidden));
        auto gpu_y = put(y);
        gpu().ops().embed(stream(), {gpu_ids.data(), gpu_position.data(), gpu_table.data(),
                                     with_positions ? gpu_positions.data() : nullptr, type, 2,
                                     tokens, hidden, gpu_y.data(), scale});
        cpu().ops().embed(*cpu().context, {ids.data(), position.data(), table.data(),
                                           with_positions ? positions.data() : nullptr, type, 2,
                                           tokens, hidden, y.data(), scale});
        expect_same_bits(gpu_y.values(), y, "embed of " + std::to_string(hidden));
      }
    }
}

TEST_F(GpuElementwiseTest, AddAndGatherHaveTheBitsOfTheCpu) {
  Random random(10);
  const std::vector<float> x = random.vector(70000), more = random.vector(70000);
  auto gpu_more = put(more);
  for (const int64_t count : {1, 3, 4, 1024, 1027, 69999})
    for (const int64_t begin : {0, 1}) {
      std::vector<float> sums = x;
      auto gpu_sums = put(x);
      gpu().ops().add(stream(), {gpu_sums.data() + begin, gpu_more.data() + begin, count});
      cpu().ops().add(*cpu().context, {sums.data() + begin, more.data() + begin, count});
      expect_same_bits(gpu_sums.values(), sums, "sum of " + std::to_string(count));
    }
  auto gpu_x = put(x);
  const std::vector<int32_t> index = {4, 0, 4, 6};
  auto gpu_index = put(index);
  for (const int64_t width : kWidths) {
    if (7 * width > 70000) continue;
    std::vector<float> rows(static_cast<size_t>(4 * width));
    auto gpu_rows = put(rows);
    gpu().ops().gather_rows(stream(), {gpu_x.data(), gpu_index.data(), 4, width, gpu_rows.data()});
    cpu().ops().gather_rows(*cpu().context, {x.data(), index.data(), 4, width, rows.data()});
    expect_same_bits(gpu_rows.values(), rows, "rows of " + std::to_string(width));
  }
}

TEST_F(GpuElementwiseTest, AddRowsHasTheBitsOfTheCpu) {
  Random random(12);
  const std::vector<int32_t> index = {7, 0, 4};
  const std::vector<float> weight = {0.3f, -2.0f, 1.7f};
  auto gpu_index = put(index);
  auto gpu_weight = put(weight);
  for (const int64_t width : {1, 37, 2048}) {
    std::vector<float> x = random.vector(9 * width);
    const std::vector<float> add = random.vector(3 * width);
    auto gpu_x = put(x), gpu_add = put(add);
    gpu().ops().add_rows(
        stream(), {gpu_x.data(), gpu_add.data(), gpu_index.data(), gpu_weight.data(), 3, width});
    cpu().ops().add_rows(*cpu().context,
                         {x.data(), add.data(), index.data(), weight.data(), 3, width});
    expect_same_bits(gpu_x.values(), x, "rows of " + std::to_string(width));
  }
}

TEST_F(GpuElementwiseTest, RouteChoosesAsTheCpu) {
  for (const auto& [rows, experts, chosen] :
       {std::tuple<int64_t, int64_t, int64_t>{1, 4, 2}, {700, 8, 2}, {300, 128, 8}}) {
    Random random(static_cast<uint64_t>(experts));
    std::vector<float> logits = random.vector(rows * experts, 3.0f);
    logits[1] = logits[0];
    std::vector<int32_t> expert(rows * chosen), row(expert), begin(experts + 1), host(begin);
    std::vector<float> row_weight(expert.size()), weight(expert.size());
    auto gpu_logits = put(logits), gpu_row_weight = put(row_weight), gpu_weight = put(weight);
    auto gpu_expert = put(expert), gpu_row = put(row), gpu_begin = put(begin);
    std::vector<int32_t> gpu_host(begin.size());
    gpu().ops().route(stream(), {gpu_logits.data(), rows, experts, chosen, true, gpu_expert.data(),
                                 gpu_row_weight.data(), gpu_row.data(), gpu_weight.data(),
                                 gpu_begin.data(), gpu_host.data()});
    cpu().ops().route(*cpu().context,
                      {logits.data(), rows, experts, chosen, true, expert.data(), row_weight.data(),
                       row.data(), weight.data(), begin.data(), host.data()});
    EXPECT_EQ(gpu_host, host);
    EXPECT_EQ(gpu_row.values(), row);
    expect_close(
        gpu_weight.values(), std::vector<double>(weight.begin(), weight.end()),
        [&](size_t i) { return 1e-5 * weight[i]; }, "weights");
  }
}

}  // namespace
}  // namespace llmpq::test
