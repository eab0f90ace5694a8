#include "pipeline/divergence.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/check.hpp"
#include "kernels/softmax.hpp"

namespace llmpq {
namespace {

size_t likeliest(std::span<const float> logits) {
  for (const float logit : logits)
    CHECK(std::isfinite(logit), Exit::kModel,
          "a logit is {}: there is no distribution to compare; is the checkpoint damaged?", logit);
  return static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// Sums over some of the vocabulary: e^a, e^b and e^a (a - b).
struct Sums {
  double weight = 0, other_weight = 0, difference = 0;
};

/// exp, the dearest part, in a loop of its own over few elements: so it is done four at a time.
void add(std::span<const float> a, std::span<const float> b, Sums& sums) {
  constexpr size_t kBlock = 256;
  std::array<float, kBlock> weight, other;
  for (size_t begin = 0; begin < a.size(); begin += kBlock) {
    const size_t count = std::min(kBlock, a.size() - begin);
    for (size_t i = 0; i < count; ++i) {
      weight[i] = exp_of_negative(std::max(a[begin + i], -64.0f));
      other[i] = exp_of_negative(std::max(b[begin + i], -64.0f));
    }
    for (size_t i = 0; i < count; ++i) {
      sums.weight += weight[i];
      sums.other_weight += other[i];
      sums.difference += weight[i] * (double{a[begin + i]} - b[begin + i]);
    }
  }
}

std::vector<float> below(std::span<const float> logits, float largest) {
  std::vector<float> result(logits.size());
  std::transform(logits.begin(), logits.end(), result.begin(),
                 [largest](float logit) { return logit - largest; });
  return result;
}

}  // namespace

/// With a_i, b_i the logits below their largest, and Z the sums of the e^: sum_i e^a_i (a_i - b_i)
/// / Z_a - ln Z_a + ln Z_b.
Divergence divergence_of(std::span<const float> reference, std::span<const float> other) {
  const size_t top = likeliest(reference), other_top = likeliest(other);
  Sums sums;
  add(below(reference, reference[top]), below(other, other[other_top]), sums);
  const double nats = sums.difference / sums.weight - std::log(sums.weight / sums.other_weight);
  return {std::max(0.0, nats), top == other_top};
}

}  // namespace llmpq
