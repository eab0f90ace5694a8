// Copies to shared memory that run by themselves: cp.async, waited for by the thread that started
// them, and cp.async.bulk, whose bytes a barrier counts. Until they end the memory that they go to
// is filled with ones, which makes NaN of floats: what is read too early is not what was there.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llmpq::emulated {

/// cp.async of 4, 8 or 16 bytes; zeros if not `valid`.
void copy_async(void* shared, const void* global, size_t bytes, bool valid);
void close_copies();
void wait_for_copies(int later);

/// cp.async.bulk to the same place in all blocks of the cluster whose bits are set in `blocks`.
void copy_bulk(uint32_t to, const void* from, uint32_t bytes, uint32_t barrier, uint32_t blocks);

/// Prefetches: reads the first and the last byte, so that what must not be read shows.
void touch(const void* from, int bytes);

/// A barrier in shared memory. PTX: mbarrier.init, fence.mbarrier_init, mbarrier.arrive (of any
/// block of the cluster), mbarrier.arrive.expect_tx, mbarrier.try_wait.parity until it holds.
void init_barrier(uint32_t barrier, int arrivals);
void show_barriers();
void arrive_at_barrier(uint32_t barrier);
void arrive_and_expect(uint32_t barrier, uint32_t bytes);
void wait_for_barrier(uint32_t barrier, uint32_t parity);

}  // namespace llmpq::emulated
