// What only Hopper (sm_90a) has, an instruction a function: barriers that count bytes, bulk copies
// into shared memory, clusters, and products whose operands wait in registers and shared memory
// (wgmma). The PTX manual's names are kept. Addresses are those of shared memory, 32 bits.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/instructions.cuh"

namespace llmpq::cuda {

__device__ inline void barrier_init(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
/// Barriers that were initialized are seen by the cluster's blocks and by copies.
__device__ inline void fence_barrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
/// One arrival, and so many bytes that the phase waits for besides.
__device__ inline void barrier_expect(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
__device__ inline void barrier_arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
/// At the same barrier of block `rank` of the cluster. Orders nothing between the blocks: enough
/// for "I have read it", and release.cluster would wait for all of the block's stores.
__device__ inline void barrier_arrive_at(uint32_t barrier, uint32_t rank) {
  asm volatile(
      "{\n"
      ".reg .b32 there;\n"
      "mapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [there];\n"
      "}" ::"r"(barrier),
      "r"(rank)
      : "memory");
}
/// Until the phase of this parity has ended. A new barrier is in phase 0: waiting for parity 1
/// returns at once.
__device__ inline void barrier_wait(uint32_t barrier, uint32_t parity) {
  uint32_t ended = 0;
  while (ended == 0)
    asm volatile(
        "{\n"
        ".reg .pred ended;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 ended, [%1], %2;\n"
        "selp.u32 %0, 1, 0, ended;\n"
        "}"
        : "=r"(ended)
        : "r"(barrier), "r"(parity)
        : "memory");
}

/// Copies to this block's shared memory; the barrier counts the bytes. All multiples of 16.
__device__ inline void copy_bulk(uint32_t to, const void* from, uint32_t bytes, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(to),
      "l"(from), "r"(bytes), "r"(barrier)
      : "memory");
}
/// The same to all blocks of the cluster whose bits are set, and to their barriers.
__device__ inline void copy_bulk_to_all(uint32_t to, const void* from, uint32_t bytes,
                                        uint32_t barrier, uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1], %2, [%3], %4;" ::"r"(to),
      "l"(from), "r"(bytes), "r"(barrier), "h"(blocks)
      : "memory");
}

__device__ inline uint32_t cluster_rank() {
  uint32_t rank = 0;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

/// Registers of a warpgroup's threads from here on: some give theirs away, others take them.
template <int kRegisters>
__device__ inline void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ inline void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

/// Before products: registers written so far may be read by them.
__device__ inline void products_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
/// The products issued since the last call become a group.
__device__ inline void end_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/// Until all but the `kLater` newest groups have ended.
template <int kLater>
__device__ inline void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLater) : "memory");
}
/// For the compiler: these registers are in use until here, and may be something else after.
template <int kCount>
__device__ inline void keep(uint32_t (&registers)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+r"(registers[i])::"memory");
}
template <int kCount>
__device__ inline void keep(float (&registers)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(registers[i])::"memory");
}

/// sums += A B for 64 outputs of a warpgroup and 2 * kSums tokens, 16 inputs: A from registers as
/// each warp's mma.m16n8k16 would have it, B (one row a token) from shared memory. Sum 4 j + i is
/// that of mma.m16n8k16's register i for the j-th 8 tokens. Until wait_for_products() neither sums
/// nor a may be touched. PTX wants every register by its name, hence the macros.
template <typename T, int kSums>
__device__ void add_products(float (&sums)[kSums], const uint32_t* a, uint64_t b);

#define SUMS_4(i) "+f"(sums[i]), "+f"(sums[i + 1]), "+f"(sums[i + 2]), "+f"(sums[i + 3])
#define SUMS_16(i) SUMS_4(i), SUMS_4(i + 4), SUMS_4(i + 8), SUMS_4(i + 12)
#define SUMS_64(i) SUMS_16(i), SUMS_16(i + 16), SUMS_16(i + 32), SUMS_16(i + 48)
// clang-format off
#define NAMES_64                                                                     \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NAMES_128 NAMES_64 ", "                                                      \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
// clang-format on

#define ADD_PRODUCTS(Type, kSums, shape_and_types, sum_names, a_and_b_names, sum_registers) \
  template <>                                                                               \
  __device__ inline void add_products<Type, kSums>(float(&sums)[kSums], const uint32_t* a,  \
                                                   uint64_t b) {                            \
    asm volatile(                                                                           \
        "{\n.reg .pred add;\nsetp.ne.b32 add, 1, 0;\n"                                      \
        "wgmma.mma_async.sync.aligned." shape_and_types " {" sum_names "}, " a_and_b_names  \
        ", add, 1, 1, 0;\n}"                                                                \
        : sum_registers                                                                     \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)                                \
        : "memory");                                                                        \
  }
#define A_AND_B_64 "{%64, %65, %66, %67}, %68"
#define A_AND_B_128 "{%128, %129, %130, %131}, %132"

ADD_PRODUCTS(__nv_bfloat16, 64, "m64n128k16.f32.bf16.bf16", NAMES_64, A_AND_B_64, SUMS_64(0))
ADD_PRODUCTS(__half, 64, "m64n128k16.f32.f16.f16", NAMES_64, A_AND_B_64, SUMS_64(0))
#define SUMS_128 SUMS_64(0), SUMS_64(64)
ADD_PRODUCTS(__nv_bfloat16, 128, "m64n256k16.f32.bf16.bf16", NAMES_128, A_AND_B_128, SUMS_128)
ADD_PRODUCTS(__half, 128, "m64n256k16.f32.f16.f16", NAMES_128, A_AND_B_128, SUMS_128)

#undef ADD_PRODUCTS
#undef A_AND_B_64
#undef A_AND_B_128
#undef NAMES_64
#undef NAMES_128
#undef SUMS_4
#undef SUMS_16
#undef SUMS_64
#undef SUMS_128

}  // namespace llmpq::cuda
