#include "scheduler.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>

#include "background.hpp"
#include "shared_memory.hpp"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace llmpq::emulated {

Group group;
Thread* running = nullptr;

namespace {

Worker* caller = nullptr;   ///< who runs the group
std::vector<Worker*> idle;  ///< they live on: a stack is not made again for each thread

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

/// The thread that runs next; nullptr if all have ended, or wait for the kernel before.
Thread* choose() {
  if (group.alive == 0) return nullptr;
  const uint32_t luck = chance(32);
  if (luck < 2) do_work_by_chance();
  if (luck == 2) look_at_waiting();
  for (;;) {
    if (Thread* const next = take_ready()) return next;
    if (look_at_waiting()) continue;
    if (group.early && chance(2) == 0) return nullptr;
    if (do_work_that_is_waited_for()) continue;
    if (group.early) return nullptr;
    fail_all_wait();
  }
}

// ---- threads ----

Worker* take_worker();

void run_now(Thread& thread) {
  running = &thread;
  choose_static_memory(thread.block->rank);
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

// ---- their ends ----

/// The kernel after it counts on this one to have waited: else the one before might still run.
void check_ended(const Block& block) {
  check_block_memory(block.rank);
  if (group.launch->early && !block.has_waited)
    fail("a block of a kernel that may start early has ended without griddepcontrol.wait");
}

void end_thread() {
  Thread& thread = *running;
  Block& block = *thread.block;
  thread.waits_for = nullptr;
  thread.worker = nullptr;
  thread.states.clear();
  --group.alive;
  if (--block.alive == 0) check_ended(block);
  open_if_complete(block.barrier, block.alive);
  open_if_complete(group.barrier, group.alive);
}

/// A worker's life: threads that begin one after the other, as long as the next one has not begun
/// elsewhere.
void run_one_after_the_other(Worker& self) {
  for (;;) {
    group.launch->body();
    end_thread();
    Thread* const next = choose();
    if (next != nullptr && next->worker == nullptr) {
      next->worker = &self;
      run_now(*next);
      continue;
    }
    idle.push_back(&self);
    switch_to(self, next);
  }
}

Worker* take_worker() {
  if (!idle.empty()) {
    Worker* const worker = idle.back();
    idle.pop_back();
    return worker;
  }
  return new Worker([] { run_one_after_the_other(*running->worker); });
}

}  // namespace

void make_ready(Thread* thread) { group.ready.push_back(thread); }

void suspend(const char* what) {
  Thread* const self = running;
  self->waits_for = what;
  Thread* const next = choose();
  if (next != self) switch_to(*self->worker, next);
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

void run_threads() {
  Worker here;
  caller = &here;
  blockDim = group.launch->threads;
  gridDim = group.launch->blocks;
  switch_to(here, choose());
  running = nullptr;
}

}  // namespace llmpq::emulated
