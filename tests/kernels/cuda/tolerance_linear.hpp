// How far a product on a GPU may be from the double sum over the numbers that it multiplies.
#pragma once

#include "kernels/tolerance.hpp"

namespace llmpq::test {

/// Tensor cores add at least 4 products and the sum so far at a time, aligned to the largest of
/// them; what lies below 24 bits is cut off (Fasi, Higham, Mikaitis, Pranesh 2021, Numerical
/// behavior of NVIDIA tensor cores). So each of 5 addends, and the result, loses up to 2 kUnit of
/// what the magnitudes bound, once for 4 products: 6 / 4 * 2 = 3 times as much as rounding after
/// each product. The sums of groups and slices and their scales are within the constant.
inline double tensor_core_error(int64_t k, double magnitudes) {
  return 3 * chain_error(k, magnitudes);
}

/// f32 without tensor cores, in whatever order: every product and every sum may round.
inline double f32_product_error(int64_t k, double magnitudes) {
  return chain_error(2 * k, magnitudes);
}

}  // namespace llmpq::test
