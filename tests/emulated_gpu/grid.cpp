#include "grid.hpp"

#include <algorithm>
#include <cstdio>

#include "scheduler.hpp"
#include "shared_memory.hpp"
#include "symbols.hpp"

namespace llmpq::emulated {
namespace {

void make_block(Block& block, uint32_t rank, uint3 index) {
  const dim3 size = group.launch->threads;
  const auto threads = static_cast<size_t>(size.x) * size.y * size.z;
  block.rank = rank;
  block.index = index;
  block.alive = static_cast<int>(threads);
  block.has_waited = false;
  block.threads.resize(threads);
  block.warps.resize((threads + kLanes - 1) / kLanes);
  block.states.clear();
  for (Warp& warp : block.warps) warp.states.clear();
  for (uint32_t i = 0; i < threads; ++i) {
    Thread& thread = block.threads[i];
    thread.block = &block;
    thread.index = {i % size.x, i / size.x % size.y, i / size.x / size.y};
    thread.number = static_cast<int>(i);
  }
}

void go_on() {
  run_threads();
  if (group.alive == 0) close_shared_memory();
}

/// Begins the cluster, or the block, whose first block has this index.
void start_group(const Launch& launch, uint3 first, bool early) {
  group.launch = &launch;
  group.early = early;
  group.order = order();
  group.newest_first = group.order == Order::kRandom && chance(3) == 0;
  group.blocks.resize(launch.cluster_blocks);
  open_shared_memory(launch.cluster_blocks, launch.shared_bytes);
  for (uint32_t rank = 0; rank < launch.cluster_blocks; ++rank) {
    make_block(group.blocks[rank], rank, {first.x + rank, first.y, first.z});
    group.alive += group.blocks[rank].alive;
  }
  for (Block& block : group.blocks)
    for (const uint32_t i : ordered(static_cast<uint32_t>(block.threads.size())))
      make_ready(&block.threads[i]);
  go_on();
}

/// The first block of each group, in the order that they run in.
std::vector<uint3> firsts_of(const Launch& launch) {
  const uint32_t x = launch.blocks.x / launch.cluster_blocks, y = launch.blocks.y;
  std::vector<uint3> firsts;
  for (const uint32_t i : ordered(x * y * launch.blocks.z))
    firsts.push_back({i % x * launch.cluster_blocks, i / x % y, i / x / y});
  return firsts;
}

/// What of the kernel that comes next has begun before its turn.
struct EarlyStart {
  const Launch* launch = nullptr;
  std::vector<uint3> firsts;  ///< of its groups
  Group group;                ///< the first one; maybe it has ended
  SharedMemory memory;
};
EarlyStart early_start;

/// The first group goes as far as it comes while the kernel before has not ended.
void start_early(const Launch& launch) {
  early_start.launch = &launch;
  early_start.firsts = firsts_of(launch);
  start_group(launch, early_start.firsts[0], true);
  if (group.alive > 0) early_start.memory = put_away_shared_memory();
  early_start.group = std::exchange(group, {});
}

/// The kernel before has ended.
void go_on_with(EarlyStart& started) {
  if (started.group.alive == 0) return;
  group = std::move(started.group);
  group.early = false;
  take_back_shared_memory(started.memory);
  go_on();
}

}  // namespace

void run_grid(const Launch& launch, const Launch* next) {
  EarlyStart started = std::exchange(early_start, {});
  const bool has_started = started.launch == &launch;
  if (started.launch != nullptr && !has_started)
    fail("a kernel that has started early is not the next one");
  const std::vector<uint3> firsts = has_started ? started.firsts : firsts_of(launch);
  if (next != nullptr) start_early(*next);
  if (has_started) go_on_with(started);
  for (size_t i = has_started ? 1 : 0; i < firsts.size(); ++i)
    start_group(launch, firsts[i], false);
}

void describe_running(char* text, size_t size) {
  text[0] = 0;
  if (running == nullptr) return;
  std::snprintf(text, size, "%s, block (%u, %u, %u), thread (%u, %u, %u)",
                symbol_of(group.launch->kernel).c_str(), blockIdx.x, blockIdx.y, blockIdx.z,
                threadIdx.x, threadIdx.y, threadIdx.z);
}

}  // namespace llmpq::emulated
