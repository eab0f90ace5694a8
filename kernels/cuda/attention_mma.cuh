// What prefill and decode attention are made of: 16-bit number types, tiles in shared memory, and
// the two products of a warp's 16 rows with a tile of keys, by mma.m16n8k16. Its layouts: PTX ISA,
// "Matrix Fragments for mma.m16n8k16"; a lane is 4 * g + t and holds rows g and g + 8.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/instructions.cuh"

namespace llmpq::cuda {

/// False where the device code is for a GPU without cp.async or mma with bf16; the kernels' bodies
/// are empty there and attention_plain works instead.
template <typename T>
__device__ constexpr bool has_tensor_cores() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  return true;
#else
  return false;
#endif
}

/// A 16-bit type of the products. kRowScaled: rows of q are brought into its range by a power of
/// two. kShift: weights are 2^kShift * exp2(score - largest), out of reach of its subnormals.
struct Bf16Pairs {
  static constexpr bool kRowScaled = false;
  static constexpr float kShift = 0.0f;
  static constexpr uint32_t kExponents = 0x7f807f80u;

  static __device__ uint32_t pair(float low, float high) {
    const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&both);
  }
  /// Bytes 0 and 2 as signed integers; 1 and 3 do not matter. 128 + low 7 bits is a bf16 with those
  /// bits as its mantissa; what goes off is 128, or 256 with the sign bit.
  static __device__ uint32_t integers(uint32_t bytes) {
    const uint32_t low = (bytes & 0x007f007fu) | 0x43004300u;
    const uint32_t off = (bytes & 0x00800080u) | 0xc300c300u;
    // as low * 1 + off: 8.0 has no bf16 addition, older headers no function for it
    return fma_halves<__nv_bfloat16>(low, 0x3f803f80u, off);
  }
  static __device__ void mma(float (&c)[4], const uint4& a, uint32_t b0, uint32_t b1) {
    multiply<__nv_bfloat16>(c, a, b0, b1);
  }
};

struct F16Pairs {
  static constexpr bool kRowScaled = true;
  static constexpr float kShift = 14.0f;
  static constexpr uint32_t kExponents = 0x7c007c00u;

  static __device__ uint32_t pair(float low, float high) {
    const __half2 both = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&both);
  }
  /// As Bf16Pairs's: 1024 + (integer + 128), minus 1152.
  static __device__ uint32_t integers(uint32_t bytes) {
    const uint32_t biased = ((bytes & 0x00ff00ffu) ^ 0x00800080u) | 0x64006400u;
    const uint32_t off = 0x64806480u;
    const __half2 result = __hsub2(*reinterpret_cast<const __half2*>(&biased),
                                   *reinterpret_cast<const __half2*>(&off));
    return *reinterpret_cast<const uint32_t*>(&result);
  }
  static __device__ void mma(float (&c)[4], const uint4& a, uint32_t b0, uint32_t b1) {
    multiply<__half>(c, a, b0, b1);
  }
};

/// The types in which q.k and p.v are multiplied. int8's integers are exact in both: f16 keeps more
/// of q, while p * v_scale needs bf16's range.
template <typename T>
struct Products;
template <>
struct Products<__nv_bfloat16> {
  using Scores = Bf16Pairs;
  using Values = Bf16Pairs;
};
template <>
struct Products<__half> {
  using Scores = F16Pairs;
  using Values = F16Pairs;
};
template <>
struct Products<int8_t> {
  using Scores = F16Pairs;
  using Values = Bf16Pairs;
};

/// Rows of kDim halves in shared memory, such that eight rows' 16-byte chunks of one column lie in
/// different banks: chunks are exchanged within groups of eight, or rows are an odd number apart.
template <int kDim>
struct HalfRows {
  static constexpr int kChunks = kDim / 8;
  static constexpr bool kExchanged = kChunks % 8 == 0;
  static constexpr int kStride = kExchanged ? kDim : 8 * (kChunks | 1);
  static __device__ int at(int row, int chunk) {
    return row * kStride + 8 * (kExchanged ? chunk ^ (row % 8) : chunk);
  }
};

/// s += q . k for a tile of keys [kKeys, kDim]; query(step) is the A operand of 16 elements.
template <typename Type, int kDim, int kKeys, typename Query>
__device__ inline void multiply_keys(Query query, const uint16_t* k, float (&s)[kKeys / 8][4]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int row = lane % 8 + lane / 16 * 8, chunk = lane / 8 % 2;
#pragma unroll
  for (int step = 0; step < kDim / 16; ++step) {
    const uint4 a = query(step);
#pragma unroll
    for (int n = 0; n < kKeys / 16; ++n) {
      uint32_t b[4];
      load_matrices(k + HalfRows<kDim>::at(16 * n + row, 2 * step + chunk), b);
      Type::mma(s[2 * n], a, b[0], b[1]);
      Type::mma(s[2 * n + 1], a, b[2], b[3]);
    }
  }
}

/// The A operand of the second product: weights of 16 keys, rounded.
template <typename Type>
__device__ inline uint4 round_weights(const float (&low)[4], const float (&high)[4]) {
  return {Type::pair(low[0], low[1]), Type::pair(low[2], low[3]), Type::pair(high[0], high[1]),
          Type::pair(high[2], high[3])};
}

/// acc += p . v for a tile of values [kKeys, kDim].
template <typename Type, int kDim, int kKeys>
__device__ inline void multiply_values(const float (&p)[kKeys / 8][4], const uint16_t* v,
                                       float (&acc)[kDim / 8][4]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int row = lane % 16, chunk = lane / 16;
#pragma unroll
  for (int step = 0; step < kKeys / 16; ++step) {
    const uint4 a = round_weights<Type>(p[2 * step], p[2 * step + 1]);
#pragma unroll
    for (int n = 0; n < kDim / 16; ++n) {
      uint32_t b[4];
      load_transposed(v + HalfRows<kDim>::at(16 * step + row, 2 * n + chunk), b);
      Type::mma(acc[2 * n], a, b[0], b[1]);
      Type::mma(acc[2 * n + 1], a, b[2], b[3]);
    }
  }
}

}  // namespace llmpq::cuda
