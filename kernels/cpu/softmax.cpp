#include "kernels/cpu/softmax.hpp"

#include <algorithm>
#include <array>

namespace llmpq {

void to_weights(std::span<float> logits, float max, float temperature) {
  // Two loops, because the compiler vectorizes each but not both in one.
  for (float& x : logits) x = scaled_logit(x, max, temperature);
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
  return log_of_mass(max, total);
}

}  // namespace llmpq
