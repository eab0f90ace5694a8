// Stands in for CUDA's header of this name: what a kernel finds around it, and the functions of
// numbers, warps and blocks that kernels/cuda uses.
#pragma once

#include <math.h>

#include <cmath>
#include <cstdint>
#include <source_location>

#include "vector_types.h"
#include "warp.hpp"

/// Of the running thread.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

// ---- numbers ----

#define EMULATED_MIN_MAX(Type)                                 \
  constexpr Type min(Type a, Type b) { return b < a ? b : a; } \
  constexpr Type max(Type a, Type b) { return a < b ? b : a; }
EMULATED_MIN_MAX(int)
EMULATED_MIN_MAX(unsigned)
EMULATED_MIN_MAX(long)
EMULATED_MIN_MAX(unsigned long)
#undef EMULATED_MIN_MAX
constexpr long min(long a, int b) { return min(a, static_cast<long>(b)); }
constexpr long max(long a, int b) { return max(a, static_cast<long>(b)); }
constexpr long min(int a, long b) { return min(static_cast<long>(a), b); }
constexpr long max(int a, long b) { return max(static_cast<long>(a), b); }

inline float __uint_as_float(uint32_t bits) { return __builtin_bit_cast(float, bits); }
inline uint32_t __float_as_uint(float value) { return __builtin_bit_cast(uint32_t, value); }
// The module is compiled with -ffp-contract=off: operators round by themselves.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }

/// To the nearest integer, ties to even; saturated; NaN is 0.
inline int __float2int_rn(float value) {
  if (!(value > -2147483648.0f)) return value < 0 ? INT32_MIN : 0;
  return value >= 2147483648.0f ? INT32_MAX : static_cast<int>(std::nearbyint(value));
}
/// The upper half of a product.
inline uint64_t __umul64hi(uint64_t a, uint64_t b) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }

/// Bytes of {a, b}, b the upper four, each chosen by a nibble of `which`: bits 0..2 say which byte,
/// bit 3 copies its sign to the whole byte.
inline uint32_t __byte_perm(uint32_t a, uint32_t b, uint32_t which) {
  const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32_t selector = which >> 4 * i & 15;
    uint32_t byte = static_cast<uint32_t>(bytes >> 8 * (selector & 7)) & 255;
    if (selector & 8) byte = byte & 128 ? 255 : 0;
    result |= byte << 8 * i;
  }
  return result;
}
/// All bits of each half set where the halves are equal.
inline uint32_t __vcmpeq2(uint32_t a, uint32_t b) {
  const uint32_t differ = a ^ b;
  return (differ & 0xffffu ? 0 : 0xffffu) | (differ >> 16 ? 0 : 0xffff0000u);
}

// ---- memory ----

template <typename T>
T __ldg(const T* from) {
  return *from;
}
template <typename T>
T __ldcg(const T* from) {
  return *from;
}
template <typename T>
void __stcg(T* to, T value) {
  *to = value;
}
template <typename T>
T atomicAdd(T* at, T more) {
  const T before = *at;
  *at = before + more;
  return before;
}
template <typename T>
T atomicAnd(T* at, T mask) {
  const T before = *at;
  *at = before & mask;
  return before;
}
template <typename T>
T atomicOr(T* at, T bits) {
  const T before = *at;
  *at = before | bits;
  return before;
}
/// Counts 0, 1, ... last, 0.
inline unsigned atomicInc(unsigned* at, unsigned last) {
  const unsigned before = *at;
  *at = before >= last ? 0 : before + 1;
  return before;
}
inline void __threadfence() {}

// ---- warps and blocks ----

inline void __syncthreads(std::source_location where = std::source_location::current()) {
  llmpq::emulated::block_barrier(where);
}
inline int __syncthreads_or(int predicate,
                            std::source_location where = std::source_location::current()) {
  return llmpq::emulated::block_sum(predicate != 0, where) != 0;
}

inline void __syncwarp(unsigned mask = 0xffffffffu) {
  llmpq::emulated::with_warp<char>(
      mask, 0, [](const auto&, const auto&) {}, "__syncwarp");
}

inline unsigned __ballot_sync(unsigned mask, bool predicate) {
  return llmpq::emulated::with_warp<unsigned>(
      mask, predicate,
      [](const auto& in, const auto& out) {
        unsigned votes = 0;
        for (int i = 0; i < 32; ++i) votes |= in[i] != nullptr && *in[i] ? 1u << i : 0u;
        for (unsigned* to : out)
          if (to != nullptr) *to = votes;
      },
      "__ballot_sync");
}

namespace llmpq::emulated {
/// Each lane's value from the lane that from(lane, its argument) names. Reading a lane outside the
/// mask has no defined result on a GPU.
template <typename T, typename From>
T shuffle(unsigned mask, T value, int argument, From from, const char* what) {
  struct Mine {
    T value;
    int argument;
  };
  return with_warp<T>(
      mask, Mine{value, argument},
      [&](const auto& in, const auto& out) {
        for (int i = 0; i < kLanes; ++i) {
          if (in[i] == nullptr) continue;
          const int source = from(i, in[i]->argument);
          if (in[source] == nullptr)
            fail("%s: lane %d reads lane %d, which is not in the mask", what, i, source);
          *out[i] = in[source]->value;
        }
      },
      what);
}
}  // namespace llmpq::emulated

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return llmpq::emulated::shuffle(
      mask, value, lane, [](int, int source) { return source & 31; }, "__shfl_sync");
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits) {
  return llmpq::emulated::shuffle(
      mask, value, bits, [](int lane, int flip) { return (lane ^ flip) & 31; }, "__shfl_xor_sync");
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, int distance) {
  return llmpq::emulated::shuffle(
      mask, value, distance, [](int lane, int up) { return lane < up ? lane : lane - up; },
      "__shfl_up_sync");
}
