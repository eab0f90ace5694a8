#include "layer/softmax.hpp"

#include <array>
#include <cmath>

namespace llmpq {

void to_weights(std::span<float> logits, float max, float temperature) {
  // Two loops, because the compiler vectorizes each but not both in one.
  for (float& x : logits) {
    const float scaled = (x - max) / temperature;
    x = scaled > -64.0f ? scaled : -64.0f;  // -64 for NaN too
  }
  for (float& x : logits) x = exp_of_negative(x);
}

uint64_t total_mass(std::span<const float> weights) {
  uint64_t total = 0;
  for (float weight : weights) total += mass(weight);
  return total;
}

double log_sum_exp(std::span<const float> logits, float max) {
  constexpr size_t kBlock = 256;
  std::array<float, kBlock> weights;
  uint64_t total = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const size_t count = std::min(kBlock, logits.size() - begin);
    std::copy_n(logits.begin() + static_cast<std::ptrdiff_t>(begin), count, weights.begin());
    to_weights(std::span(weights).first(count), max, 1.0f);
    total += total_mass(std::span(weights).first(count));
  }
  return max + natural_log(static_cast<double>(total) * 0x1p-44);
}

double natural_log(double value) {
  constexpr double kLn2 = 0.6931471805599453, kSqrtHalf = 0.7071067811865476;
  int exponent = 0;
  double fraction = std::frexp(value, &exponent);  // in [0.5, 1)
  if (fraction < kSqrtHalf) {
    fraction *= 2;
    --exponent;
  }
  // ln(f) = 2 atanh(s), s = (f - 1) / (f + 1), |s| < 0.1716: 12 odd terms leave less than 1e-19.
  const double s = (fraction - 1) / (fraction + 1), square = s * s;
  double sum = 0;
  for (int power = 23; power >= 1; power -= 2) sum = sum * square + 1.0 / power;
  return exponent * kLn2 + 2 * s * sum;
}

}  // namespace llmpq
