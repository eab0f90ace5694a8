// The twin of kernels/cuda/hopper.cuh: the same functions, emulated. What each is to do is said
// there.
#pragma once

#include <cstdint>

#include "kernels/cuda/instructions.cuh"
#include "warpgroup_products.hpp"

namespace llmpq::cuda {

inline void barrier_init(uint32_t barrier, int arrivals) {
  emulated::init_barrier(barrier, arrivals);
}
inline void fence_barrier_init() { emulated::show_barriers(); }
inline void barrier_expect(uint32_t barrier, uint32_t bytes) {
  emulated::arrive_and_expect(barrier, bytes);
}
inline void barrier_arrive(uint32_t barrier) { emulated::arrive_at_barrier(barrier); }
inline void barrier_arrive_at(uint32_t barrier, uint32_t rank) {
  emulated::arrive_at_barrier(emulated::address_in_block(barrier, rank));
}
inline void barrier_wait(uint32_t barrier, uint32_t parity) {
  emulated::wait_for_barrier(barrier, parity);
}

inline void copy_bulk(uint32_t to, const void* from, uint32_t bytes, uint32_t barrier) {
  emulated::copy_bulk(to, from, bytes, barrier, 1u << emulated::cluster_rank());
}
inline void copy_bulk_to_all(uint32_t to, const void* from, uint32_t bytes, uint32_t barrier,
                             uint16_t blocks) {
  emulated::copy_bulk(to, from, bytes, barrier, blocks);
}

inline uint32_t cluster_rank() { return emulated::cluster_rank(); }

template <int kRegisters>
void give_registers() {
  emulated::give_registers(kRegisters, static_cast<int>(blockDim.x * blockDim.y * blockDim.z));
}
template <int kRegisters>
void take_registers() {
  emulated::take_registers(kRegisters, static_cast<int>(blockDim.x * blockDim.y * blockDim.z));
}

inline void products_fence() { emulated::fence_products(); }
inline void end_products() { emulated::close_products(); }
template <int kLater>
void wait_for_products() {
  emulated::wait_for_products(kLater);
}
/// Products are told where registers are: a compiler keeps what others may write.
template <typename T, int kCount>
void keep(T (&)[kCount]) {}

template <typename T, int kSums>
void add_products(float (&sums)[kSums], const uint32_t* a, uint64_t b) {
  static_assert(kSums == 64 || kSums == 128);
  emulated::start_product({kHalfOf<T>, sums, kSums, a, b});
}

}  // namespace llmpq::cuda
