#include "pipeline/divergence.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

size_t likeliest(std::span<const float> logits) {
  for (const float logit : logits)
    CHECK(std::isfinite(logit), Exit::kModel,
          "a logit is {}: there is no distribution to compare; is the checkpoint damaged?", logit);
  return static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

/// With a_i, b_i the logits below their largest A, B: sum_i e^a_i (a_i - b_i) / Z_a - ln Z_a + ln
/// Z_b, where Z is the sum of the e^.
Divergence divergence_of(std::span<const float> reference, std::span<const float> other) {
  const size_t top = likeliest(reference), other_top = likeliest(other);
  const double largest = reference[top], other_largest = other[other_top];
  double sum = 0, other_sum = 0, weighted = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double a = reference[i] - largest, b = other[i] - other_largest;
    const double weight = std::exp(a);
    sum += weight;
    other_sum += std::exp(b);
    weighted += weight * (a - b);
  }
  const double nats = weighted / sum - std::log(sum) + std::log(other_sum);
  return {std::max(0.0, nats), top == other_top};
}

}  // namespace llmpq
