// Who runs: the blocks that run together, their threads as fibers, and the switches between them.
// grid.cpp makes them; threads.cpp is what they call.
#pragma once

#include <any>
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <source_location>
#include <typeindex>
#include <utility>
#include <vector>

#include "cuda_runtime.h"
#include "grid.hpp"
#include "order.hpp"
#include "warp.hpp"
#include "worker.hpp"

namespace llmpq::emulated {

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
  bool has_waited = false;  ///< a thread of it, for the kernel before
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
  bool early = false;  ///< the kernel before it has not ended
};

extern Group group;
extern Thread* running;

void make_ready(Thread* thread);

/// The running thread waits until it is made ready; `what` for, in a sentence.
void suspend(const char* what);

/// The running thread waits for all of `alive` that have not ended; the sum of their values.
int wait_at(Barrier& barrier, int alive, int value, std::source_location where, const char* what);

/// Runs the group until all its threads have ended or, if it has started early, wait for the kernel
/// before.
void run_threads();

}  // namespace llmpq::emulated
