// What goes on beside the threads: copies end at some moment after their instruction, by chance at
// once or not before somebody waits for them.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace llmpq::emulated {

/// Work under way. It may keep its owner informed by what it captures.
struct Work {
  std::function<void()> run;
  const std::byte* writes;  ///< where to: shared memory of a block, which must not end before
  bool done = false;
};

/// Work that is done at a moment of chance from now on: maybe in this call, at the latest when all
/// threads wait, or by finish().
std::shared_ptr<Work> start_work(std::function<void()> run, const std::byte* writes);

/// Does the work now, unless it has been done.
void finish(Work& work);

/// For the scheduler, between threads and again and again when all wait: does one of what is under
/// way, chosen by chance. False if there is nothing.
bool do_some_work();

/// For the scheduler when a block has ended, whose shared memory this is: fail() if something will
/// still be written there.
void check_no_work_left(const std::byte* shared, size_t bytes);

}  // namespace llmpq::emulated
