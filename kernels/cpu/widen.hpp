// Numbers of a checkpoint's file as f32. Included after a lanes_*.hpp.
#pragma once

#include "kernels/convert.hpp"
#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

/// A number that a header of odd length may have left unaligned.
LLMPQ_INLINE uint16_t half_at(const std::byte* from, int64_t i) {
  uint16_t bits;
  __builtin_memcpy(&bits, from + 2 * i, sizeof(bits));
  return bits;
}

void widen_kernel(DType type, const std::byte* from, int64_t count, float* to) {
  if (type == DType::kF32) {
    __builtin_memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
  } else if (type == DType::kBf16) {
    for (int64_t i = 0; i < count; ++i) to[i] = bf16_to_f32(half_at(from, i));
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = f16_to_f32(half_at(from, i));
  }
}

}  // namespace
}  // namespace llmpq
