// How far a result may be from the closed form in double: derived from the format and the length of
// the reduction, in this one place.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/formats.hpp"
#include "kernels/ops.hpp"

namespace llmpq::test {

inline constexpr double kUnit = 0x1p-24;  ///< half an ulp of f32, relative

/// An f32 chain of k fma: each rounds once, relative to a partial sum that the sum of magnitudes
/// bounds. `magnitudes` is sum |x w|. The constant covers the weight's and the inputs' own
/// roundings (q * scale, x_scale * w_scale) and the addition of a bias.
inline double chain_error(int64_t k, double magnitudes) {
  return (static_cast<double>(k) + 6) * kUnit * magnitudes + 1e-37;
}

/// The product of a whole row against the double sum over the *rounded* weights and inputs.
/// Integer products are exact within a group: only the groups' sums round.
inline double linear_error(ActivationType activation, Format format, int64_t k, double magnitudes) {
  const bool integer = activation == ActivationType::kInt8 && !is_16bit(format);
  return chain_error(integer ? groups_of(k) : k, magnitudes);
}

/// Largest |w - unpacked| for a value of a group whose largest magnitude is `largest`.
inline double rounding_error(Format format, double value, double largest) {
  switch (format) {
    case Format::kBf16:
      return std::fabs(value) * 0x1p-8;
    case Format::kF16:
      return std::fabs(value) * 0x1p-11 + 0x1p-25;  // subnormal below 2^-14
    default:
      return largest / info(format).max_abs * (0.5 + 1e-5) + 1e-44;
  }
}

/// Sums over a row in 16 lanes and a tree, relative to the sum of magnitudes.
inline double lane_sum_error(int64_t count) {
  return (static_cast<double>(count) / 16 + 8) * kUnit;
}

/// Attention: scores are sums of head_dim products; a score's absolute error is the relative error
/// of its exp; the weighted sum of `keys` values rounds once more per key.
inline double attention_error(int64_t head_dim, int64_t keys, double largest_score,
                              double largest_value) {
  const double score = (lane_sum_error(head_dim) + 3 * kUnit) * largest_score;
  return (4 * score + (static_cast<double>(keys) + 30) * kUnit) * largest_value;
}

}  // namespace llmpq::test
