// Instructions that CUDA's headers have no function for, one a function: numbers, copies that run
// by themselves, products of 16-bit numbers, words between kernels. With hopper.cuh the only file
// with PTX. Where the code's target lacks an instruction, its function says what it does instead.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace llmpq::cuda {

// ---- numbers ----

/// (word & mask) ^ flip, as one instruction. Compilers make two of it where both are constants.
__device__ inline uint32_t and_xor(uint32_t word, uint32_t mask, uint32_t flip) {
  uint32_t result;
  asm("lop3.b32 %0, %1, %2, %3, 0x6a;" : "=r"(result) : "r"(word), "r"(mask), "r"(flip));
  return result;
}

/// (word & mask) | bits, likewise.
__device__ inline uint32_t and_or(uint32_t word, uint32_t mask, uint32_t bits) {
  uint32_t result;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(result) : "r"(word), "r"(mask), "r"(bits));
  return result;
}

/// a * b + c in both halves, each rounded once. T: __half or __nv_bfloat16, which needs compute
/// capability 8.0; code for older ones, which is never run, gives zeros.
template <typename T>
__device__ inline uint32_t fma_halves(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t result = 0;
  if constexpr (std::is_same_v<T, __half>) {
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
  } else {
#if __CUDA_ARCH__ >= 800
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
#endif
  }
  return result;
}

/// 2^x with an error of 2^-22 of it; subnormal numbers become zero.
__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// ---- copies ----

/// Where something in shared memory is, in 32 bits.
__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

/// 16 bytes to shared memory without waiting, both at multiples of 16; zeros if not `valid`. They
/// are there after wait_for_copies(). From 8.0 on.
__device__ inline void copy_16_bytes(void* shared, const void* global, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
               "l"(__cvta_generic_to_global(global)), "r"(valid ? 16 : 0)
               : "memory");
}
/// 4 bytes, both at multiples of 4. From 8.0 on.
__device__ inline void copy_4_bytes(void* shared, const void* global, bool valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)),
               "l"(__cvta_generic_to_global(global)), "r"(valid ? 4 : 0)
               : "memory");
}
/// 16 bytes of a line of 128 that is read to its end: L2 fetches all of it. Before 8.0 it waits.
__device__ inline void copy_16_bytes_of_line(void* shared, const void* global) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(shared_address(shared)),
               "l"(global)
               : "memory");
#else
  *static_cast<uint4*>(shared) = __ldg(static_cast<const uint4*>(global));
#endif
}
/// This thread's copies since the last call become a group, which may be empty.
__device__ inline void close_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Waits for this thread's groups of copies, but for the newest `kLater`.
template <int kLater>
__device__ inline void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kLater) : "memory");
#endif
}

/// Asks L2 for the line that `from` lies in.
__device__ inline void ask_for_line(const void* from) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(from) : "memory");
}
/// Asks L2 for some bytes, from one thread; both are multiples of 16. From 9.0 on.
__device__ inline void ask_for_bytes(const void* from, int bytes) {
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from), "r"(bytes) : "memory");
}

/// The loads before this in the program are all under way before one of their values is used.
__device__ inline void all_loads_begin() { asm volatile("" ::: "memory"); }

// ---- products ----

/// Four 8x8 matrices of halves from shared memory, rows of 16 bytes at multiples of 16; lane i
/// gives the address of row i % 8 of matrix i / 8. Lane 4 g + t gets elements 2 t and 2 t + 1 of
/// row g of each.
__device__ inline void load_matrices(const uint16_t* row, uint32_t (&to)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}
/// The same of the transposed matrices.
__device__ inline void load_transposed(const uint16_t* row, uint32_t (&to)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}

/// sums += A B of a warp, 16 x 16 times 16 x 8, halves of type T into f32. PTX ISA, "Matrix
/// Fragments for mma.m16n8k16": lane 4 g + t has rows g (sums 0, 1; a.x, a.z) and g + 8 (sums 2, 3;
/// a.y, a.w), columns 2 t and 2 t + 1, of A also 2 t + 8 and 2 t + 9 (a.z, a.w), and of B these
/// rows of column g. Turing does it in two halves of k, and only f16; older GPUs not at all, where
/// nothing asks for it.
template <typename T>
__device__ inline void multiply(float (&sums)[4], const uint4& a, uint32_t b0, uint32_t b1) {
#if __CUDA_ARCH__ >= 800
  if constexpr (std::is_same_v<T, __nv_bfloat16>)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
#elif __CUDA_ARCH__ >= 750
  const uint32_t a_halves[2][2] = {{a.x, a.y}, {a.z, a.w}}, b_halves[2] = {b0, b1};
#pragma unroll
  for (int half = 0; half < 2; ++half)
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a_halves[half][0]), "r"(a_halves[half][1]), "r"(b_halves[half]));
#endif
}

// ---- between kernels and blocks ----

/// Until the kernel before this one in the stream has ended and its work is seen: from 9.0 on this
/// one may have started earlier. Older code is never launched so.
__device__ inline void wait_for_kernel_before() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/// The next kernel in the stream may start when all blocks have come here, if it is launched so.
__device__ inline void let_next_kernel_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/// Whether blocks may be launched as clusters; where not, a block is alone.
__device__ constexpr bool has_clusters() {
#if __CUDA_ARCH__ >= 900
  return true;
#else
  return false;
#endif
}
/// A barrier of all threads of a cluster, by which they see each other's memory.
__device__ inline void cluster_sync() {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "barrier.cluster.arrive.release.aligned;\n"
      "barrier.cluster.wait.acquire.aligned;" ::
          : "memory");
#endif
}

/// Adds 1 to a counter in global memory, which goes from `last` to 0, and returns what it was.
/// What was written before by this thread, or seen by it, is seen by who counts later.
__device__ inline unsigned count_up_to(unsigned* counter, unsigned last) {
  unsigned before = 0;
#if __CUDA_ARCH__ >= 700
  asm volatile("atom.acq_rel.gpu.global.inc.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(counter), "r"(last)
               : "memory");
#else
  __threadfence();
  before = atomicInc(counter, last);
  __threadfence();
#endif
  return before;
}

}  // namespace llmpq::cuda
