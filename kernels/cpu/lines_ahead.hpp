// Memory that is asked for before it is read: what a thread does with its time while it waits, or
// while it computes on what lies in its caches already. Also for the files of an instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llmpq {

/// Lines of the caches, from `next` on, that have not been asked for yet.
struct LinesAhead {
  static constexpr int64_t kLine = 64;
  const std::byte *next = nullptr, *end = nullptr;

  /// Asks for at most so many; false if none was left. They go to the second cache, which has room
  /// for what is asked for between two products.
  [[gnu::always_inline]] bool ask(int64_t count) {
    if (end - next < kLine) return false;
    const int64_t left = (end - next) / kLine;
    for (int64_t i = left < count ? left : count; i > 0; --i, next += kLine)
      __builtin_prefetch(next);
    return true;
  }
};

}  // namespace llmpq
