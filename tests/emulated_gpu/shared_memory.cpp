#include "shared_memory.hpp"

#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "background.hpp"
#include "warp.hpp"

#ifdef LLMPQ_EMULATED_WITH_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(begin, bytes) static_cast<void>(0)
#define ASAN_UNPOISON_MEMORY_REGION(begin, bytes) static_cast<void>(0)
#endif

namespace llmpq::emulated {
namespace {

constexpr int kNeverWritten = 0xff;
constexpr size_t kGuardBytes = 256;  ///< behind dynamic memory, which nobody may write

/// Tells where the module's thread-local storage is; so there must be none but __shared__.
thread_local std::byte marker[16];

/// The module's thread-local storage, counted from the marker.
struct StaticMemory {
  ptrdiff_t from_marker = 0;
  size_t bytes = 0;
};

int find_static_memory(dl_phdr_info* library, size_t, void* result) {
  const auto here = reinterpret_cast<uintptr_t>(&find_static_memory);
  bool is_module = false;
  size_t bytes = 0;
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    const auto& part = library->dlpi_phdr[i];
    const uintptr_t begin = library->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD && here >= begin && here < begin + part.p_memsz) is_module = true;
    if (part.p_type == PT_TLS) bytes = part.p_memsz;
  }
  if (!is_module) return 0;
  const auto* const begin = static_cast<const std::byte*>(library->dlpi_tls_data);
  const auto from_marker = reinterpret_cast<intptr_t>(begin) - reinterpret_cast<intptr_t>(marker);
  *static_cast<StaticMemory*>(result) = {from_marker, bytes};
  return 1;
}

const StaticMemory& static_memory() {
  static const StaticMemory found = [] {
    StaticMemory result;
    *const_cast<volatile std::byte*>(marker) = {};  // it is there from its first use on
    if (dl_iterate_phdr(find_static_memory, &result) == 0) fail("the module does not find itself");
    return result;
  }();
  return found;
}

/// By integers: pointers must not leave the marker.
std::byte* static_begin() {
  const auto at = static_cast<intptr_t>(reinterpret_cast<uintptr_t>(marker));
  return reinterpret_cast<std::byte*>(at + static_memory().from_marker);
}

struct DynamicMemory {
  std::byte* buffers[kMostClusterBlocks] = {};
  uint32_t blocks = 0;
  size_t bytes = 0;
};
DynamicMemory dynamic;

/// Static variables of the cluster's blocks but for `chosen`, whose are where they belong.
struct OtherStatics {
  std::vector<std::byte> of[kMostClusterBlocks];
  uint32_t chosen = 0;
};
OtherStatics statics;

std::byte* static_of(uint32_t rank) {
  return rank == statics.chosen ? static_begin() : statics.of[rank].data();
}

/// 0xFF without AddressSanitizer's looking at it.
__attribute__((no_sanitize("address"))) void forget(std::byte* begin, size_t bytes) {
  std::fill_n(begin, bytes, std::byte{kNeverWritten});
}

bool never_written(const std::byte* begin, size_t bytes) {
  return std::all_of(begin, begin + bytes,
                     [](std::byte b) { return b == std::byte{kNeverWritten}; });
}

std::byte* buffer(uint32_t block) {
  std::byte*& begin = dynamic.buffers[block];
  if (begin == nullptr)
    begin = static_cast<std::byte*>(std::aligned_alloc(1024, kMostDynamicBytes + 1024));
  return begin;
}

}  // namespace

void open_shared_memory(uint32_t blocks, size_t dynamic_bytes) {
  forget(static_begin(), static_memory().bytes);
  statics.chosen = 0;
  for (uint32_t block = 1; block < blocks; ++block)
    statics.of[block].assign(static_memory().bytes, std::byte{kNeverWritten});
  dynamic.blocks = blocks;
  dynamic.bytes = dynamic_bytes;
  for (uint32_t block = 0; block < blocks; ++block) {
    ASAN_UNPOISON_MEMORY_REGION(buffer(block), kMostDynamicBytes + 1024);
    forget(buffer(block), dynamic_bytes + kGuardBytes);
    ASAN_POISON_MEMORY_REGION(buffer(block) + dynamic_bytes,
                              kMostDynamicBytes + 1024 - dynamic_bytes);
  }
}

void choose_static_memory(uint32_t rank) {
  if (rank == statics.chosen) return;
  std::byte* const begin = static_begin();
  const size_t bytes = static_memory().bytes;
  statics.of[statics.chosen].assign(begin, begin + bytes);
  std::copy_n(statics.of[rank].data(), bytes, begin);
  statics.chosen = rank;
}

void check_block_memory(uint32_t rank) { check_no_work_left(buffer(rank), dynamic.bytes); }

void close_shared_memory() {
  for (uint32_t block = 0; block < dynamic.blocks; ++block) {
    std::byte* const begin = buffer(block);
    ASAN_UNPOISON_MEMORY_REGION(begin, kMostDynamicBytes + 1024);
    if (!never_written(begin + dynamic.bytes, kGuardBytes))
      fail("the kernel has written behind its %zu bytes of dynamic shared memory", dynamic.bytes);
  }
  dynamic.blocks = 0;
}

SharedMemory put_away_shared_memory() {
  SharedMemory memory;
  std::swap(memory.dynamic, dynamic.buffers);
  memory.blocks = std::exchange(dynamic.blocks, 0);
  memory.dynamic_bytes = dynamic.bytes;
  choose_static_memory(0);
  std::swap(memory.statics, statics.of);
  memory.statics[0].assign(static_begin(), static_begin() + static_memory().bytes);
  return memory;
}

void take_back_shared_memory(const SharedMemory& memory) {
  for (uint32_t block = 0; block < kMostClusterBlocks; ++block) {
    std::free(dynamic.buffers[block]);
    dynamic.buffers[block] = memory.dynamic[block];
  }
  dynamic.blocks = memory.blocks;
  dynamic.bytes = memory.dynamic_bytes;
  std::copy(std::begin(memory.statics), std::end(memory.statics), std::begin(statics.of));
  statics.chosen = 0;
  std::copy(memory.statics[0].begin(), memory.statics[0].end(), static_begin());
}

std::byte* dynamic_shared() { return buffer(cluster_rank()); }

uint32_t shared_address(const void* pointer) {
  const auto* const at = static_cast<const std::byte*>(pointer);
  const uint32_t rank = cluster_rank();
  const std::byte* const begin = buffer(rank);
  if (at >= begin && at <= begin + dynamic.bytes)
    return rank << kRankAt | (kDynamicAt + static_cast<uint32_t>(at - begin));
  if (at >= static_begin() && at < static_begin() + static_memory().bytes)
    return rank << kRankAt | (kStaticAt + static_cast<uint32_t>(at - static_begin()));
  fail("%p is not in the block's shared memory", pointer);
}

void* shared_memory(uint32_t address, size_t bytes) {
  const uint32_t rank = address >> kRankAt, offset = address & ((1u << kRankAt) - 1);
  if (rank >= dynamic.blocks)
    fail("shared address %#x: no such block runs in the cluster", address);
  if (block_has_ended(rank))
    fail("shared address %#x: block %u of the cluster has ended", address, rank);
  const bool is_static = offset >= kStaticAt;
  const size_t begin = is_static ? kStaticAt : kDynamicAt;
  const size_t size = is_static ? static_memory().bytes : dynamic.bytes;
  if (offset < begin || offset - begin + bytes > size)
    fail("shared address %#x: %zu bytes there are outside the block's shared memory", address,
         bytes);
  return (is_static ? static_of(rank) : buffer(rank)) + (offset - begin);
}

uint32_t address_in_block(uint32_t address, uint32_t rank) {
  if (rank >= cluster_blocks())
    fail("block %u of a cluster of %u is addressed", rank, cluster_blocks());
  return rank << kRankAt | (address & ((1u << kRankAt) - 1));
}

}  // namespace llmpq::emulated
