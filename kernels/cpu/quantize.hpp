// Rounding of activations before a matrix product: int8 with one scale per token and group of 128
// (absmax / 127, ties to even), or bf16, or f16. A group with NaN or infinity gets the scale NaN,
// so that they reach the output. Included after a lanes_*.hpp.
#pragma once

#include "kernels/convert.hpp"
#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

/// absmax / 127 of `count` values; NaN if one is not finite.
LLMPQ_INLINE float int8_scale(const float* x, int64_t count) {
  uint32_t largest_bits = 0;  // magnitudes order like integers, NaN above infinity
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, x[i]) & 0x7fffffffu;
    largest_bits = bits > largest_bits ? bits : largest_bits;
  }
  if (largest_bits >= 0x7f800000u) return __builtin_nanf("");
  return __builtin_bit_cast(float, largest_bits) / 127.0f;
}

/// to[i] = round(x[i] / scale), ties to even, within +-127; all 0 if the scale is 0 or NaN.
LLMPQ_INLINE void round_to_int8(const float* x, int64_t count, float scale, int8_t* to) {
  constexpr float kShift = 12582912.0f;  // adding it rounds to an integer
  if (!(scale > 0.0f)) {
    for (int64_t i = 0; i < count; ++i) to[i] = 0;
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    float q = x[i] / scale;
    q = q < 127.0f ? q : 127.0f;
    q = q > -127.0f ? q : -127.0f;
    to[i] = static_cast<int8_t>(__builtin_bit_cast(int32_t, q + kShift) -
                                __builtin_bit_cast(int32_t, kShift));
  }
}

void quantize_row_kernel(const float* x, int64_t k, const Int8Rows& to, int64_t row) {
  for (int64_t begin = 0, at = row; begin < k; begin += kGroup, at += to.rows) {
    const int64_t count = k - begin < kGroup ? k - begin : kGroup;
    const float scale = int8_scale(x + begin, count);
    int8_t* const values = to.values + at * kGroup;
    round_to_int8(x + begin, count, scale, values);
    for (int64_t i = count; i < kGroup; ++i) values[i] = 0;
    int32_t total = 0;
    for (int64_t i = 0; i < kGroup; ++i) total += values[i];
    to.scale[at] = scale;
    to.shift[at] = to.bias * total;
  }
}

void dequantize_row_kernel(const Int8Rows& from, int64_t k, int64_t row, float* to) {
  for (int64_t begin = 0, at = row; begin < k; begin += kGroup, at += from.rows) {
    const int64_t count = k - begin < kGroup ? k - begin : kGroup;
    const int8_t* const values = from.values + at * kGroup;
    for (int64_t i = 0; i < count; ++i)
      to[begin + i] = static_cast<float>(values[i]) * from.scale[at];
  }
}

void round_to_bf16_kernel(const float* x, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = bf16_to_f32(f32_to_bf16(x[i]));
}

void round_row_to_bf16_kernel(const float* x, int64_t k, const Bf16Rows& to, int64_t row) {
  for (int64_t begin = 0, at = row; begin < k; begin += kGroup, at += to.rows) {
    const int64_t count = k - begin < kGroup ? k - begin : kGroup;
    uint16_t* const values = to.values + at * kGroup;
    f32_to_bf16(x + begin, values, count);
    for (int64_t i = count; i < kGroup; ++i) values[i] = 0;
  }
}

void round_to_f16_kernel(const float* x, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = f16_to_f32(f32_to_f16(x[i]));
}

}  // namespace
}  // namespace llmpq
