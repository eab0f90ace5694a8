// How far CUDA's attention may be from the closed form in double: what tensor cores round, on top
// of tests/kernels/tolerance.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/convert.hpp"
#include "kernels/tolerance.hpp"

namespace llmpq::test {

/// Whether attention over such a cache runs on tensor cores (kernels/cuda/attention.cu).
inline bool on_tensor_cores(int compute_capability, DType type, int64_t head_dim,
                            int64_t block_tokens) {
  const bool has_kernel = head_dim == 32 || head_dim == 64 || head_dim == 80 || head_dim == 96 ||
                          head_dim == 128 || head_dim == 256;
  return compute_capability >= 80 && type != DType::kF32 && has_kernel &&
         (block_tokens & (block_tokens - 1)) == 0;
}

/// One head's q as tensor cores get it, so that its rounding is no part of the error: bf16 for a
/// bf16 cache, else f16, whose range it is brought into by a power of two.
inline std::vector<double> rounded_query(DType type, const float* q, int64_t head_dim) {
  std::vector<double> rounded;
  float largest = 0;
  for (int64_t i = 0; i < head_dim; ++i) largest = std::max(largest, std::fabs(q[i]));
  const int power = largest > 0 ? 14 - std::ilogb(largest) : 0;
  for (int64_t i = 0; i < head_dim; ++i) {
    rounded.push_back(type == DType::kBf16
                          ? bf16_to_f32(f32_to_bf16(q[i]))
                          : std::ldexp(f16_to_f32(f32_to_f16(std::ldexp(q[i], power))), -power));
  }
  return rounded;
}

/// Attention on tensor cores against the softmax in double over the cache's values and the rounded
/// q. `largest_score`: of all keys, with magnitudes instead of signed products.
///   scores: products are exact; mma may cut what it adds instead of rounding it, 2 units a step; 8
///           roundings more for factors and the base. An error of a score is a relative one of p.
///   p:      exp2.approx 4 units; rounded to bf16 (8 bits: 2^-8) or f16 (11 bits: 2^-11), for the
///           numerator alone; f16's subnormals begin 2^-28 below the largest.
///   sums:   2 units a key, and the adding up of warps and pieces.
inline double tensor_attention_error(DType type, int64_t head_dim, int64_t keys,
                                     double largest_score, double largest_value) {
  const double n = static_cast<double>(keys);
  const double score = (2 * static_cast<double>(head_dim) + 8) * kUnit * largest_score;
  const double weight = type == DType::kF16 ? 0x1p-11 + n * 0x1p-39 : 0x1p-8;
  return (4 * score + weight + (2 * n + 64) * kUnit) * largest_value;
}

}  // namespace llmpq::test
