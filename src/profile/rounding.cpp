#include "profile/rounding.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <future>

#include "kernels/cpu/pack.hpp"
#include "layer/weights.hpp"

namespace llmpq {
namespace {

/// Some rows of a matrix, read into f32.
struct Strip {
  std::vector<float> values;
  int64_t rows, columns;
};

/// The sum of measure(strip) over all strips of a matrix, in their order, whatever `threads`.
template <typename Measure>
ByFormat sum_over_strips(const Checkpoint& checkpoint, int64_t layer, const LayerMatrix& matrix,
                         int threads, Measure measure) {
  const int64_t most = std::clamp<int64_t>(kStripBytes / 4 / matrix.columns, 1, matrix.rows);
  const auto measure_at = [&](int64_t begin) {
    const int64_t rows = std::min(most, matrix.rows - begin);
    Strip strip{std::vector<float>(static_cast<size_t>(rows * matrix.columns)), rows,
                matrix.columns};
    checkpoint.read_rows(matrix.role, layer, matrix.first + begin, rows, strip.values);
    return measure(strip);
  };
  ByFormat sum{};
  std::deque<std::future<ByFormat>> running;
  for (int64_t begin = 0; begin < matrix.rows || !running.empty();) {
    while (begin < matrix.rows && static_cast<int>(running.size()) < std::max(1, threads)) {
      running.push_back(std::async(std::launch::async, measure_at, begin));
      begin += most;
    }
    const ByFormat part = running.front().get();
    running.pop_front();
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
  }
  return sum;
}

/// Sum over rows and groups of inputs * (largest |w|)^2.
double squared_largest(const Strip& strip) {
  double sum = 0;
  for (int64_t row = 0; row < strip.rows; ++row)
    for (int64_t begin = 0; begin < strip.columns; begin += kGroup) {
      const int64_t size = std::min<int64_t>(kGroup, strip.columns - begin);
      const float* values = strip.values.data() + row * strip.columns + begin;
      double largest = 0;
      for (int64_t i = 0; i < size; ++i) largest = std::max(largest, std::fabs(double{values[i]}));
      sum += static_cast<double>(size) * largest * largest;
    }
  return sum;
}

double weighted_error(const Strip& strip, Format format, const std::vector<double>& weights) {
  Matrix packed{format, strip.rows, strip.columns, {}};
  std::vector<std::byte> memory(
      static_cast<size_t>(packed_bytes(format, strip.rows, strip.columns)));
  packed.packed = Buffer(memory.data(), static_cast<int64_t>(memory.size()), [](void*) {});
  std::vector<float> rounded(static_cast<size_t>(strip.columns));
  double sum = 0;
  for (int64_t row = 0; row < strip.rows; ++row) {
    const float* values = strip.values.data() + row * strip.columns;
    pack_row(format, strip.rows, strip.columns, row, values, memory.data());
    unpack_row(packed, row, rounded.data());
    for (size_t i = 0; i < rounded.size(); ++i) {
      const double error = double{values[i]} - double{rounded[i]};
      sum += error * error * weights[i];
    }
  }
  return sum;
}

}  // namespace

std::vector<LayerMatrix> layer_matrices(const ModelConfig& c) {
  using enum TensorRole;
  const int64_t q_rows = c.heads * c.head_dim, kv_rows = c.kv_heads * c.head_dim;
  std::vector<LayerMatrix> all{{kQ, Product::kQkv, q_rows, c.hidden},
                               {kK, Product::kQkv, kv_rows, c.hidden},
                               {kV, Product::kQkv, kv_rows, c.hidden},
                               {kOut, Product::kOut, c.hidden, q_rows}};
  for (int64_t e = 0; e < std::max<int64_t>(1, c.experts); ++e) {
    if (c.gated) all.push_back({kGate, Product::kUp, c.ffn, c.hidden, e, e * c.ffn});
    all.push_back({kUp, Product::kUp, c.ffn, c.hidden, e, e * c.ffn});
    all.push_back({kDown, Product::kDown, c.hidden, c.ffn, e, e * c.hidden});
  }
  return all;
}

ByFormat mean_squared_steps(const Checkpoint& checkpoint, int64_t layer,
                            const LayerMatrix& matrix) {
  const auto weights = static_cast<double>(matrix.rows * matrix.columns);
  return sum_over_strips(checkpoint, layer, matrix, 1, [&](const Strip& strip) {
    const double squared = squared_largest(strip) / weights;
    ByFormat steps{};
    for (const FormatInfo& format : kFormats)
      if (!is_16bit(format.format))
        steps[static_cast<size_t>(format.format)] = squared / (format.max_abs * format.max_abs);
    return steps;
  });
}

ByFormat weighted_errors(const Checkpoint& checkpoint, int64_t layer, const LayerMatrix& matrix,
                         const std::vector<double>& weights, int threads) {
  return sum_over_strips(checkpoint, layer, matrix, threads, [&](const Strip& strip) {
    ByFormat errors{};
    for (const FormatInfo& format : kFormats)
      if (!is_16bit(format.format))
        errors[static_cast<size_t>(format.format)] = weighted_error(strip, format.format, weights);
    return errors;
  });
}

}  // namespace llmpq
