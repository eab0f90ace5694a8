// bf16 and f16 as bits in a uint16_t: conversion to and from f32, round to nearest, ties to even.
// Branch-free, so that loops over them vectorize. NaN stays NaN, infinity stays infinity. No
// std::bit_cast: the kernels of each instruction set use these (cpu/kernels_all.hpp).
#pragma once

#include <cstdint>

#include "kernels/tensor.hpp"

namespace llmpq {

[[gnu::always_inline]] inline float bf16_to_f32(uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16);
}

[[gnu::always_inline]] inline uint16_t f32_to_bf16(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return static_cast<uint16_t>(is_nan ? (bits >> 16) | 0x40u : rounded);
}

/// The exponent is moved by a multiplication, which makes subnormals right without a branch.
[[gnu::always_inline]] inline float f16_to_f32(uint16_t bits) {
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fffu) << 13;
  const uint32_t finite =
      __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, magnitude) * 0x1p112f);
  const uint32_t quiet = magnitude > (0x7c00u << 13) ? 0x400000u : 0u;
  const uint32_t special = magnitude | 0x7f800000u | quiet;
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  return __builtin_bit_cast(float, (magnitude >= (0x7c00u << 13) ? special : finite) | sign);
}

/// Normal results round like integers; subnormal ones by adding 0.5, whose last bit is f16's.
[[gnu::always_inline]] inline uint16_t f32_to_f16(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  const uint32_t subnormal =
      __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, magnitude) + 0.5f) - 0x3f000000u;
  uint32_t result = magnitude < (113u << 23) ? subnormal : normal;
  result = magnitude >= 0x477ff000u ? 0x7c00u : result;
  result = magnitude > 0x7f800000u ? 0x7e00u | ((magnitude >> 13) & 0x3ffu) : result;
  return static_cast<uint16_t>(result | ((bits >> 16) & 0x8000u));
}

[[gnu::always_inline]] inline void bf16_to_f32(const uint16_t* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = bf16_to_f32(from[i]);
}
[[gnu::always_inline]] inline void f32_to_bf16(const float* from, uint16_t* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = f32_to_bf16(from[i]);
}
[[gnu::always_inline]] inline void f16_to_f32(const uint16_t* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = f16_to_f32(from[i]);
}
[[gnu::always_inline]] inline void f32_to_f16(const float* from, uint16_t* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = f32_to_f16(from[i]);
}

/// `type`: kBf16 or kF16.
[[gnu::always_inline]] inline void f32_to_halves(DType type, const float* from, uint16_t* to,
                                                 int64_t count) {
  if (type == DType::kF16)
    f32_to_f16(from, to, count);
  else
    f32_to_bf16(from, to, count);
}

}  // namespace llmpq
