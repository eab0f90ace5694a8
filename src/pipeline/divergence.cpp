#include "pipeline/divergence.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "kernels/check.hpp"
#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

struct Top {
  size_t index;
  float logit;
};

/// The first of the largest logits, of which none may be NaN: the block that has it is found at the
/// kernel's speed.
Top likeliest(std::span<const float> logits) {
  constexpr size_t kBlock = 1024;
  Top top{0, logits[0]};
  for (size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const size_t count = std::min(kBlock, logits.size() - begin);
    const float most = best_kernels().largest(logits.data() + begin, static_cast<int64_t>(count));
    if (most > top.logit) top = {begin, most};
  }
  top.index = static_cast<size_t>(
      std::find(logits.begin() + static_cast<std::ptrdiff_t>(top.index), logits.end(), top.logit) -
      logits.begin());
  return top;
}

/// Why there is no divergence of these.
[[noreturn]] void fail_on(std::span<const float> reference, std::span<const float> other) {
  for (const auto logits : {reference, other})
    for (const float logit : logits)
      CHECK(std::isfinite(logit), Exit::kModel,
            "a logit is {}: there is no distribution to compare; is the checkpoint damaged?",
            logit);
  fail(Exit::kModel,
       "two logits of a token lie further apart than floats reach: is the checkpoint damaged?");
}

}  // namespace

/// With a_i, b_i the logits below their largest, and Z the sums of the e^: sum_i e^a_i (a_i - b_i)
/// / Z_a - ln Z_a + ln Z_b.
Divergence divergence_of(std::span<const float> reference, std::span<const float> other) {
  const Top top = likeliest(reference), other_top = likeliest(other);
  const DivergenceSums sums =
      best_kernels().divergence(reference.data(), top.logit, other.data(), other_top.logit,
                                static_cast<int64_t>(reference.size()));
  const double nats = sums.difference / sums.weight - std::log(sums.weight / sums.other_weight);
  if (!std::isfinite(nats)) fail_on(reference, other);
  return {std::max(0.0, nats), top.index == other_top.index};
}

}  // namespace llmpq
