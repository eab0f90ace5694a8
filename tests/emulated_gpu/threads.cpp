// What device code sees of the scheduler (warp.hpp).
#include <cstring>

#include "scheduler.hpp"

namespace llmpq::emulated {

int lane() { return running->number % kLanes; }
int warp() { return running->number / kLanes; }
uint32_t cluster_rank() { return running->block->rank; }
uint32_t cluster_blocks() { return static_cast<uint32_t>(group.blocks.size()); }
bool block_has_ended(uint32_t rank) { return group.blocks[rank].alive == 0; }

void wait_for(const std::function<bool()>& predicate, const char* what) {
  if (predicate()) return;
  running->predicate = &predicate;
  group.waiting.push_back(running);
  suspend(what);
}

void wait_for_kernel_before() {
  running->block->has_waited = true;
  wait_for([] { return !group.early; }, "griddepcontrol.wait");
}

void block_barrier(std::source_location where) { block_sum(0, where); }

int block_sum(int value, std::source_location where) {
  Block& block = *running->block;
  return wait_at(block.barrier, block.alive, value, where, "__syncthreads");
}

void cluster_barrier(std::source_location where) {
  wait_at(group.barrier, group.alive, 0, where, "the cluster's barrier");
}

namespace {

/// Where lanes of this mask wait, or else a free place.
Pending* find_pending(std::array<Pending, 4>& list, unsigned mask) {
  Pending* free = nullptr;
  for (Pending& pending : list) {
    if (pending.mask == mask) return &pending;
    if (pending.mask == 0 && free == nullptr) free = &pending;
  }
  return free;
}

}  // namespace

namespace detail {

std::any& state(Of of, std::type_index type) {
  Block& block = *running->block;
  if (of == Of::kThread) return running->states.of(type);
  if (of == Of::kWarp) return block.warps[static_cast<size_t>(warp())].states.of(type);
  return block.states.of(type);
}

Meeting* meet(unsigned mask, const void* in, void* out, const char* what) {
  const unsigned mine = 1u << lane();
  if ((mask & mine) == 0) fail("%s: lane %d is not in its own mask %#x", what, lane(), mask);
  auto& list = running->block->warps[static_cast<size_t>(warp())].pending;
  Pending* const found = find_pending(list, mask);
  if (found == nullptr) fail("%s: lanes of a warp wait with too many different masks", what);
  if (found->mask == 0)
    found->mask = mask, found->arrived = 0, found->what = what, found->meeting = {};
  if (found->what != what && std::strcmp(found->what, what) != 0)
    fail("lanes of a warp meet for different operations, %s and %s", found->what, what);
  found->meeting.in[lane()] = in;
  found->meeting.out[lane()] = out;
  found->arrived |= mine;
  if (found->arrived == mask) return &found->meeting;
  suspend(what);
  return nullptr;
}

void end_meeting(Meeting* meeting) {
  Block& block = *running->block;
  const auto first = static_cast<size_t>(warp()) * kLanes;
  for (Pending& pending : block.warps[static_cast<size_t>(warp())].pending) {
    if (&pending.meeting != meeting) continue;
    const uint32_t last = kLanes - 1;
    const uint32_t begin = group.order == Order::kRandom ? chance(kLanes) : 0;
    for (uint32_t i = 0; i < kLanes; ++i) {
      const uint32_t to = group.order == Order::kReversed ? last - i : (begin + i) & last;
      if (pending.mask >> to & 1u && static_cast<int>(to) != lane())
        make_ready(&block.threads[first + to]);
    }
    pending.mask = 0;
  }
}

}  // namespace detail
}  // namespace llmpq::emulated
