// The twin of kernels/cuda/instructions.cuh: the same functions, emulated. What each is to do is
// said there; here are the checks of what it may be given.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <type_traits>

#include "async_copies.hpp"
#include "fragments.hpp"
#include "warp.hpp"

namespace llmpq::cuda {

template <typename T>
inline constexpr emulated::Half kHalfOf =
    std::is_same_v<T, __half> ? emulated::Half::kF16 : emulated::Half::kBf16;

// ---- numbers ----

inline uint32_t and_xor(uint32_t word, uint32_t mask, uint32_t flip) {
  return (word & mask) ^ flip;
}
inline uint32_t and_or(uint32_t word, uint32_t mask, uint32_t bits) { return (word & mask) | bits; }

template <typename T>
uint32_t fma_halves(uint32_t a, uint32_t b, uint32_t c) {
  if (__CUDA_ARCH__ < 800 && std::is_same_v<T, __nv_bfloat16>)
    emulated::fail("fma.rn.bf16x2 needs compute capability 8.0");
  return emulated::fma_pairs<kHalfOf<T>>(a, b, c);
}

inline float exp2_fast(float x) { return emulated::exp2_flushed(x); }

// ---- copies ----

inline uint32_t shared_address(const void* pointer) { return emulated::shared_address(pointer); }

inline void copy_16_bytes(void* shared, const void* global, bool valid) {
  emulated::copy_async(shared, global, 16, valid);
}
inline void copy_4_bytes(void* shared, const void* global, bool valid) {
  emulated::copy_async(shared, global, 4, valid);
}
inline void copy_16_bytes_of_line(void* shared, const void* global) {
  if constexpr (__CUDA_ARCH__ >= 800)
    emulated::copy_async(shared, global, 16, true);
  else
    *static_cast<uint4*>(shared) = *static_cast<const uint4*>(global);
}
inline void close_copies() {
  if constexpr (__CUDA_ARCH__ >= 800) emulated::close_copies();
}
template <int kLater>
void wait_for_copies() {
  if constexpr (__CUDA_ARCH__ >= 800) emulated::wait_for_copies(kLater);
}

/// Only bytes that may be read are asked for: this reads one.
inline void ask_for_line(const void* from) { emulated::touch(from, 1); }
inline void ask_for_bytes(const void* from, int bytes) {
  const auto address = reinterpret_cast<uintptr_t>(from);
  if (address % 16 != 0 || bytes % 16 != 0)
    emulated::fail("cp.async.bulk.prefetch of %d bytes at %p: want multiples of 16", bytes, from);
  emulated::touch(from, bytes);
}

inline void all_loads_begin() {}

// ---- products ----

namespace detail {
/// Every lane gives a row and gets registers of four matrices.
inline void load_matrices(const uint16_t* row, bool transposed, uint32_t (&to)[4]) {
  struct Registers {
    uint32_t at[4];
  };
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0)
    emulated::fail("ldmatrix of a row at %p: want a multiple of 16", static_cast<const void*>(row));
  emulated::shared_memory(emulated::shared_address(row), 16);
  const Registers result = emulated::with_warp<Registers>(
      ~0u, row,
      [&](const uint16_t* const* const(&rows)[32], Registers* const(&out)[32]) {
        const uint16_t* row_of[32];
        uint32_t registers[32][4];
        for (int i = 0; i < 32; ++i) row_of[i] = *rows[i];
        emulated::load_four_matrices(row_of, transposed, registers);
        for (int i = 0; i < 32; ++i) std::copy_n(registers[i], 4, out[i]->at);
      },
      transposed ? "ldmatrix.trans" : "ldmatrix");
  std::copy_n(result.at, 4, to);
}
}  // namespace detail

inline void load_matrices(const uint16_t* row, uint32_t (&to)[4]) {
  detail::load_matrices(row, false, to);
}
inline void load_transposed(const uint16_t* row, uint32_t (&to)[4]) {
  detail::load_matrices(row, true, to);
}

template <typename T>
void multiply(float (&sums)[4], const uint4& a, uint32_t b0, uint32_t b1) {
  if (__CUDA_ARCH__ < (std::is_same_v<T, __half> ? 750 : 800))
    emulated::fail("mma: there is none for this type before compute capability 8.0 (f16: 7.5)");
  struct Mine {
    uint32_t a[4], b[2];
    float* sums;
  };
  emulated::with_warp<char>(
      ~0u, Mine{{a.x, a.y, a.z, a.w}, {b0, b1}, sums},
      [](const Mine* const(&lanes)[32], const auto&) {
        uint32_t all_a[32][4], all_b[32][2];
        float* all_sums[32];
        for (int i = 0; i < 32; ++i) {
          std::copy_n(lanes[i]->a, 4, all_a[i]);
          std::copy_n(lanes[i]->b, 2, all_b[i]);
          all_sums[i] = lanes[i]->sums;
        }
        constexpr int kStep = __CUDA_ARCH__ >= 800 ? 16 : 8;
        emulated::multiply_m16n8k16<kHalfOf<T>, kStep>(all_a, all_b, all_sums);
      },
      "mma");
}

// ---- between kernels and blocks ----

inline void wait_for_kernel_before() {
  if constexpr (__CUDA_ARCH__ >= 900) emulated::wait_for_kernel_before();
}
/// Whatever may start early has done so (grid.hpp).
inline void let_next_kernel_start() {}

constexpr bool has_clusters() { return __CUDA_ARCH__ >= 900; }
inline void cluster_sync(std::source_location where = std::source_location::current()) {
  emulated::cluster_barrier(where);
}

/// Threads run one at a time and see each other's memory as it is.
inline unsigned count_up_to(unsigned* counter, unsigned last) { return atomicInc(counter, last); }

}  // namespace llmpq::cuda
