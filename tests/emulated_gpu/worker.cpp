#include "worker.hpp"

#include <boost/context/protected_fixedsize_stack.hpp>
#include <memory>
#include <utility>

#ifdef LLMPQ_EMULATED_WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#else
namespace {
void __sanitizer_start_switch_fiber(void**, const void*, size_t) {}
void __sanitizer_finish_switch_fiber(void*, const void**, size_t*) {}
}  // namespace
#endif

namespace llmpq::emulated {
namespace {

constexpr size_t kStackBytes = 256 << 10;

/// Stacks begin at different places of their pages: frames of threads that run in turns would all
/// take the same few lines of the cache.
size_t next_offset() {
  static size_t made = 0;
  constexpr size_t kOffsets = 32, kStep = 128;
  return made++ % kOffsets * kStep;
}

}  // namespace

Worker::Worker(std::function<void()> work) {
  boost::context::protected_fixedsize_stack allocator(kStackBytes);
  const boost::context::stack_context stack = allocator.allocate();
  size_ = stack.size;
  bottom_ = static_cast<const char*>(stack.sp) - stack.size;
  const size_t offset = next_offset();
  void* const top = static_cast<char*>(stack.sp) - offset;
  inside_ = boost::context::fiber(
      std::allocator_arg, boost::context::preallocated(top, stack.size - offset, stack), allocator,
      [this, work = std::move(work)](boost::context::fiber&& outside) {
        outside_ = std::move(outside);
        entered();
        work();
        return std::move(outside_);
      });
}

void Worker::entered() {
  __sanitizer_finish_switch_fiber(inside_frames_, &outside_bottom_, &outside_size_);
}

void Worker::resume() {
  void* frames = nullptr;
  __sanitizer_start_switch_fiber(&frames, bottom_, size_);
  inside_ = std::move(inside_).resume();
  __sanitizer_finish_switch_fiber(frames, nullptr, nullptr);
}

void Worker::yield() {
  __sanitizer_start_switch_fiber(&inside_frames_, outside_bottom_, outside_size_);
  outside_ = std::move(outside_).resume();
  entered();
}

}  // namespace llmpq::emulated
