// What a thread does while it looks again and again for something to change.
#pragma once

namespace llmpq {

/// Tells the CPU that this is a loop that waits: some ten nanoseconds, in which it leaves the
/// core's units to others. Does nothing on a CPU that is not listed.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" : : : "memory");  // `yield` returns at once on most of them
#endif
}

}  // namespace llmpq
