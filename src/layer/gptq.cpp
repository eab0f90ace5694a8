#include "layer/gptq.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/check.hpp"
#include "layer/dense.hpp"

namespace llmpq {
namespace {

constexpr int64_t kWaitingRows = 256;  ///< that are added to a Hessian at once

}  // namespace

InputHessian::InputHessian(int64_t inputs)
    : inputs_(inputs),
      sum_(static_cast<size_t>(inputs * inputs)),
      rows_(static_cast<size_t>(kWaitingRows * inputs)) {}

void InputHessian::add_rows(const float* x, int64_t rows, ThreadPool& pool) {
  for (int64_t row = 0; row < rows; ++row, x += inputs_) {
    std::copy_n(x, inputs_, rows_.begin() + waiting_ * inputs_);
    if (++waiting_ == kWaitingRows) flush(pool);
  }
}

/// Each thread has rows of the sum, and all columns from the diagonal on.
void InputHessian::flush(ThreadPool& pool) {
  const DenseView x{rows_.data(), inputs_};
  pool.parallel_for(
      (inputs_ + kDenseRows - 1) / kDenseRows, 1, [&](int64_t part, int64_t last, int) {
        for (; part < last; ++part) {
          const int64_t row = part * kDenseRows, count = std::min(kDenseRows, inputs_ - row);
          add_product({sum_.data() + row * inputs_ + row, inputs_, count, inputs_ - row},
                      {x.data + row, 1, inputs_}, {x.data + row, inputs_}, waiting_, 1);
        }
      });
  tokens_ += std::exchange(waiting_, 0);
}

std::vector<double> InputHessian::take(ThreadPool& pool) {
  flush(pool);
  rows_ = {};
  return std::move(sum_);
}

Gptq::Gptq(std::vector<double> hessian, int64_t inputs, ThreadPool& pool)
    : inputs_(inputs), factor_(std::move(hessian)) {
  double trace = 0;
  for (int64_t i = 0; i < inputs; ++i) trace += factor_[static_cast<size_t>(i * inputs + i)];
  CHECK(std::isfinite(trace), Exit::kModel,
        "the inputs of a matrix of {} inputs are not finite on the calibration texts, so GPTQ "
        "cannot round it; is the checkpoint damaged? --quantizer rtn needs no texts",
        inputs);
  // Inputs that were all zero tell nothing: rounding to nearest is what is left.
  const double damping = trace > 0 ? kDamping * trace / static_cast<double>(inputs) : 1;
  for (int64_t i = 0; i < inputs; ++i) factor_[static_cast<size_t>(i * inputs + i)] += damping;
  factor_upper(factor_.data(), inputs, pool);
}

/// A group of columns of some rows on its way.
struct Gptq::Group {
  Format format;
  int64_t rows, begin, size;
  float* values;   ///< [rows, inputs_], all columns
  float* scales;   ///< [rows] with a stride of `groups`
  double* errors;  ///< [rows, inputs_] w - q of all columns before the group, and then of its own
  double* pushed;  ///< [rows, kGroup] sum over columns j before the group of e_j U_ji
  int64_t groups;
};

void Gptq::round_group(const Group& group) const {
  const int64_t begin = group.begin, size = group.size;
  const double* const u = factor_.data() + begin * inputs_ + begin;  // the block on the diagonal
  const double max_abs = info(group.format).max_abs;
  for (int64_t row = 0; row < group.rows; ++row) {
    float* const w = group.values + row * inputs_ + begin;
    double* const pushed = group.pushed + row * kGroup;
    // The updated weights, before any column of the group: w + x with x U_group = pushed.
    double x[kGroup], largest = 0;
    std::copy_n(pushed, size, x);
    for (int64_t i = 0; i < size; ++i) {
      x[i] /= u[i * inputs_ + i];
      for (int64_t j = i + 1; j < size; ++j) x[j] -= x[i] * u[i * inputs_ + j];
      largest = std::max(largest, std::fabs(double{w[i]} + x[i]));
    }
    const auto scale = static_cast<float>(largest / max_abs);
    group.scales[row * group.groups] = scale;
    for (int64_t i = 0; i < size; ++i) {
      const double wanted = double{w[i]} + pushed[i] / u[i * inputs_ + i];
      const double q = scale > 0 ? std::clamp(wanted / double{scale}, -max_abs, max_abs) : 0;
      const float rounded = static_cast<float>(std::nearbyint(q)) * scale;
      const double error = double{w[i]} - double{rounded};
      for (int64_t j = i + 1; j < size; ++j) pushed[j] += error * u[i * inputs_ + j];
      group.errors[row * inputs_ + begin + i] = error;
      w[i] = rounded;
    }
  }
}

void Gptq::round_rows(Format format, int64_t rows, std::span<float> values,
                      std::span<float> scales) const {
  const int64_t groups = groups_of(inputs_);
  CHECK(!is_16bit(format) && std::ssize(values) == rows * inputs_ &&
            std::ssize(scales) == rows * groups,
        Exit::kInternal, "gptq: {} rows of {} inputs in {}: {} values and {} scales", rows, inputs_,
        name(format), values.size(), scales.size());
  std::vector<double> errors(values.size()), pushed(static_cast<size_t>(rows * kGroup));
  for (int64_t begin = 0; begin < inputs_; begin += kGroup) {
    const int64_t size = std::min<int64_t>(kGroup, inputs_ - begin);
    std::fill(pushed.begin(), pushed.end(), 0.0);
    add_product({pushed.data(), kGroup, rows, size}, {errors.data(), inputs_},
                {factor_.data() + begin, inputs_}, begin, 1);
    round_group({format, rows, begin, size, values.data(), scales.data() + begin / kGroup,
                 errors.data(), pushed.data(), groups});
  }
}

}  // namespace llmpq
