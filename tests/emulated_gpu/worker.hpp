// A fiber that runs one emulated thread after the other: a stack, and the switches to it and back.
#pragma once

#include <boost/context/fiber.hpp>
#include <cstddef>
#include <functional>

namespace llmpq::emulated {

class Worker {
 public:
  /// `work` is called at the first resume() and must not return.
  explicit Worker(std::function<void()> work);
  /// From outside: goes on inside, until yield().
  void resume();
  /// From inside: goes on behind resume().
  void yield();

 private:
  void entered();

  boost::context::fiber inside_, outside_;
  // What AddressSanitizer wants to know about both stacks.
  const void* bottom_ = nullptr;
  const void* outside_bottom_ = nullptr;
  size_t size_ = 0, outside_size_ = 0;
  void* inside_frames_ = nullptr;
};

}  // namespace llmpq::emulated
