// The shared memory of the blocks that run. Static variables are the thread-local ones of the
// module, one set of them, which has those of the block whose thread runs; dynamic memory is a
// buffer for each block of a cluster. Both hold 0xFF (NaN, -1) before a block begins: what was
// never written shows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace llmpq::emulated {

inline constexpr uint32_t kMostClusterBlocks = 16;
inline constexpr size_t kMostDynamicBytes = 232448;

/// For the blocks of a cluster, each with so much dynamic memory.
void open_shared_memory(uint32_t blocks, size_t dynamic_bytes);
/// A thread of this block of the cluster is next.
void choose_static_memory(uint32_t rank);
/// Check what can be checked when a block has ended, and when all have.
void check_block_memory(uint32_t rank);
void close_shared_memory();

/// The memory of blocks that wait while others run.
struct SharedMemory {
  std::byte* dynamic[kMostClusterBlocks] = {};
  uint32_t blocks = 0;
  size_t dynamic_bytes = 0;
  std::vector<std::byte> statics[kMostClusterBlocks];
};
/// Puts the open memory away, and back again when no other is open.
SharedMemory put_away_shared_memory();
void take_back_shared_memory(const SharedMemory& memory);

}  // namespace llmpq::emulated
