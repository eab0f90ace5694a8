// How far one model's next-token distribution is from another's, row by row.
#pragma once

#include <span>

namespace llmpq {

struct Divergence {
  double nats = 0;        ///< KL(reference || other)
  bool same_top = false;  ///< both find the same token the likeliest; of equals the lowest id
};

/// KL(p || q) = sum_i p_i (ln p_i - ln q_i) for p = softmax(reference), q = softmax(other), both
/// [vocab] logits: exactly 0 for equal logits (Kullback and Leibler, 1951). e^x is right to 1.4e-7
/// of itself, sums are double, and all instruction sets give the same bits. Error(kModel) if a
/// logit is not finite.
Divergence divergence_of(std::span<const float> reference, std::span<const float> other);

}  // namespace llmpq
