// A stack that runs one emulated thread after the other, and the switch from one to another.
#pragma once

#include <boost/context/fiber.hpp>
#include <cstddef>
#include <functional>

namespace llmpq::emulated {

class Worker {
 public:
  /// Stands for the stack that calls.
  Worker() = default;
  /// `work` runs from the first switch on, and must not return.
  explicit Worker(std::function<void()> work);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Called on this one's stack: goes on where `next` is. Returns when somebody switches back.
  void switch_to(Worker& next);

 private:
  void entered();

  boost::context::fiber here_;  ///< where it goes on, when another one runs
  // What AddressSanitizer wants to know of the stack.
  const void* bottom_ = nullptr;
  size_t size_ = 0;
  void* frames_ = nullptr;
};

}  // namespace llmpq::emulated
