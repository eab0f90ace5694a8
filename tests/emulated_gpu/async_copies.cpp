#include "async_copies.hpp"

#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "background.hpp"
#include "mbarrier.hpp"
#include "warp.hpp"

namespace llmpq::emulated {
namespace {

using CopyGroup = std::vector<std::shared_ptr<Work>>;

struct ThreadCopies {
  CopyGroup open;
  std::deque<CopyGroup> closed;
};
/// That this thread has initialized and not shown to others.
struct NewBarriers {
  std::vector<uint32_t> addresses;
};

void check_multiple(const char* what, uint64_t value, uint64_t of) {
  if (value % of != 0)
    fail("%s %#llx: want a multiple of %d", what, static_cast<unsigned long long>(value),
         static_cast<int>(of));
}
void check_address(const char* what, const void* pointer, size_t of) {
  check_multiple(what, reinterpret_cast<uintptr_t>(pointer), of);
}

void check_barrier(const char* error, uint32_t address) {
  if (error != nullptr) fail("mbarrier at %#x: %s", address, error);
}

Mbarrier& barrier_memory(uint32_t address) {
  check_multiple("mbarrier at", address, 8);
  return *static_cast<Mbarrier*>(shared_memory(address, sizeof(Mbarrier)));
}

Mbarrier& barrier_at(uint32_t address, bool from_outside = false) {
  Mbarrier& barrier = barrier_memory(address);
  check_barrier(barrier.check(from_outside), address);
  return barrier;
}

bool is_own(uint32_t address) { return address >> kRankAt == cluster_rank(); }

/// The part of a bulk copy that goes to one block.
void copy_to_block(uint32_t to, const void* from, uint32_t bytes, uint32_t barrier) {
  auto* const memory = static_cast<std::byte*>(shared_memory(to, bytes));
  Mbarrier& counts = barrier_at(barrier, true);
  std::memset(memory, 0xff, bytes);
  start_work(
      [=, &counts] {
        std::memcpy(memory, from, bytes);
        check_barrier(counts.complete(bytes), barrier);
      },
      memory);
}

}  // namespace

void copy_async(void* shared, const void* global, size_t bytes, bool valid) {
  auto* const memory = static_cast<std::byte*>(shared_memory(shared_address(shared), bytes));
  check_address("cp.async to", shared, bytes);
  check_address("cp.async from", global, bytes);
  std::memset(memory, 0xff, bytes);
  auto copy = [=] {
    if (valid)
      std::memcpy(memory, global, bytes);
    else
      std::memset(memory, 0, bytes);
  };
  state<ThreadCopies>(Of::kThread).open.push_back(start_work(copy, memory));
}

void close_copies() {
  auto& mine = state<ThreadCopies>(Of::kThread);
  mine.closed.push_back(std::exchange(mine.open, {}));
}

void wait_for_copies(int later) {
  auto& closed = state<ThreadCopies>(Of::kThread).closed;
  for (; closed.size() > static_cast<size_t>(later); closed.pop_front())
    for (const auto& copy : closed.front()) finish(*copy);
}

void copy_bulk(uint32_t to, const void* from, uint32_t bytes, uint32_t barrier, uint32_t blocks) {
  check_multiple("cp.async.bulk to", to, 16);
  check_address("cp.async.bulk from", from, 16);
  check_multiple("cp.async.bulk of", bytes, 16);
  if (blocks == 0 || blocks >> cluster_blocks() != 0)
    fail("cp.async.bulk to blocks %#x of a cluster of %u", blocks, cluster_blocks());
  for (uint32_t rank = 0; rank < cluster_blocks(); ++rank)
    if ((blocks >> rank & 1) != 0)
      copy_to_block(address_in_block(to, rank), from, bytes, address_in_block(barrier, rank));
}

void touch(const void* from, int bytes) {
  const auto* const first = static_cast<const volatile std::byte*>(from);
  if (bytes > 0) static_cast<void>(first[0]), static_cast<void>(first[bytes - 1]);
}

void init_barrier(uint32_t barrier, int arrivals) {
  if (!is_own(barrier)) fail("mbarrier.init at %#x: it is another block's", barrier);
  check_barrier(barrier_memory(barrier).init(arrivals), barrier);
  state<NewBarriers>(Of::kThread).addresses.push_back(barrier);
}

void show_barriers() {
  auto& mine = state<NewBarriers>(Of::kThread).addresses;
  for (const uint32_t barrier : mine) check_barrier(barrier_memory(barrier).show(), barrier);
  mine.clear();
}

void arrive_at_barrier(uint32_t barrier) {
  check_barrier(barrier_at(barrier, !is_own(barrier)).arrive(), barrier);
}

void arrive_and_expect(uint32_t barrier, uint32_t bytes) {
  Mbarrier& mine = barrier_at(barrier);
  check_barrier(mine.expect(bytes), barrier);
  check_barrier(mine.arrive(), barrier);
}

void wait_for_barrier(uint32_t barrier, uint32_t parity) {
  if (!is_own(barrier)) fail("mbarrier.try_wait at %#x: it is another block's", barrier);
  if (parity > 1) fail("mbarrier.try_wait.parity %u: want 0 or 1", parity);
  const Mbarrier& mine = barrier_at(barrier);
  wait_for([&] { return mine.has_ended(parity); }, "mbarrier");
}

}  // namespace llmpq::emulated
