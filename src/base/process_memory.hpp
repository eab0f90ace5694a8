// How much memory this process has filled.
#pragma once

#include <cstdint>

namespace llmpq {

/// Anonymous memory of this process that is in RAM now, in bytes: heap, stacks, buffers; files that
/// are mapped and memory shared with others are left out. 0 where /proc/self/status has no RssAnon.
int64_t anonymous_bytes();

/// The largest of the moments at which look() was called.
class AnonymousPeak {
 public:
  void look();
  int64_t bytes() const { return bytes_; }

 private:
  int64_t bytes_ = 0;
};

}  // namespace llmpq
