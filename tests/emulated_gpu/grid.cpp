#include "grid.hpp"

#include <algorithm>
#include <any>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include "background.hpp"
#include "cuda_runtime.h"
#include "order.hpp"
#include "shared_memory.hpp"
#include "symbols.hpp"
#include "warp.hpp"
#include "worker.hpp"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace llmpq::emulated {
namespace {

/// T of whom it is asked for, by its type. There are few.
class States {
 public:
  std::any& of(std::type_index type) {
    for (auto& [key, value] : list_)
      if (key == type) return value;
    return list_.emplace_back(type, std::any()).second;
  }
  void clear() { list_.clear(); }

 private:
  std::deque<std::pair<std::type_index, std::any>> list_;
};

struct Block;

struct Thread {
  Block* block = nullptr;
  uint3 index{};
  int number = 0;            ///< in its block
  Worker* worker = nullptr;  ///< once it has begun
  const std::function<bool()>* predicate = nullptr;
  const char* waits_for = nullptr;
  States states;
};

/// Lanes of a warp that wait for each other.
struct Pending {
  unsigned mask = 0, arrived = 0;
  const char* what = nullptr;
  detail::Meeting meeting;
};

struct Warp {
  std::array<Pending, 4> pending;  ///< those with a mask; the others are free
  States states;
};

/// Threads that wait until all have come that have not ended.
struct Barrier {
  std::vector<Thread*> waiting;
  std::source_location where;
  int sum = 0, last_sum = 0;
};

struct Block {
  uint3 index{};
  uint32_t rank = 0;
  int alive = 0;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  Barrier barrier;
  States states;
};

/// The blocks of a cluster, or a single one.
struct Group {
  const Launch* launch = nullptr;
  std::vector<Block> blocks;
  int alive = 0;
  Barrier barrier;
  std::deque<Thread*> ready;
  std::vector<Thread*> waiting;  ///< for a predicate
  Order order = Order::kInOrder;
  bool newest_first = false;
};

Group group;
Thread* running = nullptr;
Worker* caller = nullptr;   ///< who has launched the grid
std::vector<Worker*> idle;  ///< they live on: a stack is not made again for each thread

void make_ready(Thread* thread) { group.ready.push_back(thread); }

// ---- who is next ----

Thread* take_ready() {
  if (group.ready.empty()) return nullptr;
  if (group.order == Order::kRandom && !group.newest_first)
    std::swap(group.ready.back(), group.ready[chance(static_cast<uint32_t>(group.ready.size()))]);
  const bool from_back = group.order == Order::kRandom;
  Thread* const next = from_back ? group.ready.back() : group.ready.front();
  if (from_back)
    group.ready.pop_back();
  else
    group.ready.pop_front();
  return next;
}

/// Threads whose predicates hold become ready.
bool look_at_waiting() {
  const auto goes_on = [](Thread* thread) {
    if (!(*thread->predicate)()) return false;
    make_ready(thread);
    return true;
  };
  return std::erase_if(group.waiting, goes_on) > 0;
}

[[noreturn]] void fail_all_wait() {
  std::map<std::string, int> what;
  for (const Block& block : group.blocks)
    for (const Thread& thread : block.threads)
      if (thread.waits_for != nullptr) ++what[thread.waits_for];
  std::string list;
  for (const auto& [name, count] : what)
    list += (list.empty() ? "" : ", ") + std::to_string(count) + " for " + name;
  fail("no thread can go on: of %zu in %zu blocks wait %s; the others have ended",
       group.blocks[0].threads.size() * group.blocks.size(), group.blocks.size(), list.c_str());
}

/// The thread that runs next; nullptr if all have ended.
Thread* choose() {
  if (group.alive == 0) return nullptr;
  const uint32_t luck = chance(32);
  if (luck < 2) do_some_work();
  if (luck == 2) look_at_waiting();
  for (;;) {
    if (Thread* const next = take_ready()) return next;
    if (look_at_waiting()) continue;
    if (!do_some_work()) fail_all_wait();
  }
}

// ---- threads ----

Worker* take_worker();

void run_now(Thread& thread) {
  running = &thread;
  threadIdx = thread.index;
  blockIdx = thread.block->index;
}

/// Goes on with a thread, from a worker that is not its own; nullptr is the end of the group.
void switch_to(Worker& from, Thread* next) {
  if (next == nullptr) return from.switch_to(*caller);
  if (next->worker == nullptr) next->worker = take_worker();
  run_now(*next);
  from.switch_to(*next->worker);
}

/// The running thread waits until it is made ready.
void suspend(const char* what) {
  Thread* const self = running;
  self->waits_for = what;
  Thread* const next = choose();
  if (next != self) switch_to(*self->worker, next);
}

// ---- barriers ----

void open_if_complete(Barrier& barrier, int alive) {
  if (barrier.waiting.empty() || static_cast<int>(barrier.waiting.size()) < alive) return;
  barrier.last_sum = std::exchange(barrier.sum, 0);
  for (const uint32_t i : ordered(static_cast<uint32_t>(barrier.waiting.size())))
    make_ready(barrier.waiting[i]);
  barrier.waiting.clear();
}

bool same_place(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

int wait_at(Barrier& barrier, int alive, int value, std::source_location where, const char* what) {
  const bool is_first = barrier.waiting.empty();
  if (is_first) barrier.where = where;
  if (!same_place(barrier.where, where))
    fail("threads meet at different barriers: %s:%u and %s:%u", barrier.where.file_name(),
         barrier.where.line(), where.file_name(), where.line());
  barrier.sum += value;
  barrier.waiting.push_back(running);
  open_if_complete(barrier, alive);
  suspend(what);
  return barrier.last_sum;
}

// ---- their ends ----

void end_thread() {
  Thread& thread = *running;
  Block& block = *thread.block;
  thread.waits_for = nullptr;
  thread.worker = nullptr;
  thread.states.clear();
  --block.alive;
  --group.alive;
  open_if_complete(block.barrier, block.alive);
  open_if_complete(group.barrier, group.alive);
}

/// A worker's life: threads that begin one after the other, as long as the next one has not begun
/// elsewhere.
void run_threads(Worker* self) {
  for (;;) {
    group.launch->body();
    end_thread();
    Thread* const next = choose();
    if (next != nullptr && next->worker == nullptr) {
      next->worker = self;
      run_now(*next);
      continue;
    }
    idle.push_back(self);
    switch_to(*self, next);
  }
}

Worker* take_worker() {
  if (!idle.empty()) {
    Worker* const worker = idle.back();
    idle.pop_back();
    return worker;
  }
  auto* const self = new Worker*;  // known to the worker before there is one
  *self = new Worker([self] { run_threads(*self); });
  return *self;
}

void make_block(Block& block, uint32_t rank, uint3 index) {
  const dim3 size = group.launch->threads;
  const auto threads = static_cast<size_t>(size.x) * size.y * size.z;
  block.rank = rank;
  block.index = index;
  block.alive = static_cast<int>(threads);
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

/// Runs the cluster, or the block, whose first block has this index.
void run_group(uint3 first) {
  const Launch& launch = *group.launch;
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
  switch_to(*caller, choose());
  running = nullptr;
  close_shared_memory();
}

}  // namespace

void run_grid(const Launch& launch) {
  Worker here;
  caller = &here;
  group.launch = &launch;
  blockDim = launch.threads;
  gridDim = launch.blocks;
  const uint32_t x = launch.blocks.x / launch.cluster_blocks, y = launch.blocks.y;
  for (const uint32_t i : ordered(x * y * launch.blocks.z))
    run_group({i % x * launch.cluster_blocks, i / x % y, i / x / y});
}

void describe_running(char* text, size_t size) {
  text[0] = 0;
  if (running == nullptr) return;
  std::snprintf(text, size, "%s, block (%u, %u, %u), thread (%u, %u, %u)",
                symbol_of(group.launch->kernel).c_str(), blockIdx.x, blockIdx.y, blockIdx.z,
                threadIdx.x, threadIdx.y, threadIdx.z);
}

// ---- what device code sees ----

int lane() { return running->number % kLanes; }
int warp() { return running->number / kLanes; }
uint32_t cluster_rank() { return running->block->rank; }
uint32_t cluster_blocks() { return static_cast<uint32_t>(group.blocks.size()); }

void wait_for(const std::function<bool()>& predicate, const char* what) {
  if (predicate()) return;
  running->predicate = &predicate;
  group.waiting.push_back(running);
  suspend(what);
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
