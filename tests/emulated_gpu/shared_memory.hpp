// The shared memory of the blocks that run. Static variables are the thread-local ones of the
// module, one set of them; dynamic memory is a buffer for each block of a cluster. Both hold 0xFF
// (NaN, -1) before a block begins: what was never written shows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llmpq::emulated {

inline constexpr uint32_t kMostClusterBlocks = 16;
inline constexpr size_t kMostDynamicBytes = 232448;

/// For the blocks of a cluster, each with so much dynamic memory.
void open_shared_memory(uint32_t blocks, size_t dynamic_bytes);
/// Checks what can be checked afterwards.
void close_shared_memory();

}  // namespace llmpq::emulated
