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

/// For the scheduler, now and then between threads: does some of what is under way. The other part
/// ends as late as it can, which shows that somebody has not waited.
void do_work_by_chance();
/// For the scheduler when all threads wait: does one of all. False if there is nothing.
bool do_work_that_is_waited_for();

/// For the scheduler when a block has ended, whose shared memory this is: fail() if something will
/// still be written there.
void check_no_work_left(const std::byte* shared, size_t bytes);

}  // namespace llmpq::emulated
