// The two products of attention with keys and values that stay int8 in shared memory and are
// widened in registers: what decode uses, where each tile is read once. Included after
// attention_mma.cuh.
#pragma once

#include "kernels/cuda/attention_mma.cuh"

namespace llmpq::cuda {

/// Rows of kDim bytes in shared memory, an odd number of 16-byte chunks apart: no bank conflicts.
template <int kDim>
struct ByteRows {
  static constexpr int kStride = 16 * (kDim / 16 | 1);
};

/// multiply_keys for int8. A lane reads elements 4 t .. 4 t + 3 of each 16 in one word, so q must
/// be loaded with kQuads.
template <typename Type, int kDim, int kKeys>
__device__ inline void multiply_integer_keys(const uint4 (&q)[kDim / 16], const int8_t* k,
                                             float (&s)[kKeys / 8][4]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int8_t* mine = k + lane / 4 * ByteRows<kDim>::kStride + 4 * (lane % 4);
#pragma unroll
  for (int step = 0; step < kDim / 16; ++step) {
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
      const uint32_t word =
          *reinterpret_cast<const uint32_t*>(mine + 8 * n * ByteRows<kDim>::kStride + 16 * step);
      Type::mma(s[n], q[step], Type::integers(__byte_perm(word, 0, 0x4140)),
                Type::integers(__byte_perm(word, 0, 0x4342)));
    }
  }
}

/// Which element of the head column `column` (0..7) of acc[n] is, after multiply_integer_values:
/// words of four elements are dealt to four n, in the last 16 elements pairs to two.
template <int kDim>
__device__ constexpr int integer_element(int n, int column) {
  const int span = n / 4;
  return span < kDim / 32 ? 32 * span + 4 * column + n % 4 : 32 * span + 2 * column + n % 4;
}

/// Element e of the words of two keys, as an operand.
template <typename Type>
__device__ inline uint32_t key_pair(uint32_t first, uint32_t second, int e) {
  return Type::integers(__byte_perm(first, second, static_cast<uint32_t>(e | (4 + e) << 8)));
}

/// multiply_values for int8.
template <typename Type, int kDim, int kKeys>
__device__ inline void multiply_integer_values(const float (&p)[kKeys / 8][4], const int8_t* v,
                                               float (&acc)[kDim / 8][4]) {
  constexpr int kStride = ByteRows<kDim>::kStride;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int8_t* rows = v + 2 * (lane % 4) * kStride;
#pragma unroll
  for (int step = 0; step < kKeys / 16; ++step) {
    const uint4 a = round_weights<Type>(p[2 * step], p[2 * step + 1]);
#pragma unroll
    for (int n = 0; n < kDim / 8; n += 4) {
      const bool whole = n + 4 <= kDim / 8;
      uint32_t words[4];  // of keys 2 t, 2 t + 1, 2 t + 8, 2 t + 9
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int8_t* row = rows + (16 * step + 8 * (i / 2) + i % 2) * kStride;
        const int8_t* at = row + integer_element<kDim>(n, lane / 4);
        words[i] =
            whole ? *reinterpret_cast<const uint32_t*>(at) : *reinterpret_cast<const uint16_t*>(at);
      }
#pragma unroll
      for (int e = 0; e < (whole ? 4 : 2); ++e)
        Type::mma(acc[n + e], a, key_pair<Type>(words[0], words[1], e),
                  key_pair<Type>(words[2], words[3], e));
    }
  }
}

}  // namespace llmpq::cuda
