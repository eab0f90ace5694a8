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

/// Who is left by the switch that is going on.
Worker* left = nullptr;

}  // namespace

Worker::Worker(std::function<void()> work) {
  boost::context::protected_fixedsize_stack allocator(kStackBytes);
  const boost::context::stack_context stack = allocator.allocate();
  size_ = stack.size;
  bottom_ = static_cast<const char*>(stack.sp) - stack.size;
  here_ = boost::context::fiber(
      std::allocator_arg, boost::context::preallocated(stack.sp, stack.size, stack), allocator,
      [this, work = std::move(work)](boost::context::fiber&& none) {
        entered();
        work();
        return std::move(none);
      });
}

/// The one that was left is the only one whose stack may not be known: that of the caller.
void Worker::entered() { __sanitizer_finish_switch_fiber(frames_, &left->bottom_, &left->size_); }

void Worker::switch_to(Worker& next) {
  left = this;
  __sanitizer_start_switch_fiber(&frames_, next.bottom_, next.size_);
  std::move(next.here_).resume_with([this](boost::context::fiber&& here) {
    here_ = std::move(here);
    return boost::context::fiber();
  });
  entered();
}

}  // namespace llmpq::emulated
