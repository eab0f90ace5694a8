// Denormals off in the vector units of x86-64, for lanes_avx2.hpp and lanes_avx512.hpp.
#pragma once

#include <immintrin.h>

namespace llmpq {
namespace {

/// While it lives, this thread's vector instructions take denormal operands as zero and make none
/// (DAZ and FTZ). The compiler does not know: what depends on it stands in a function of its own.
class FlushDenormals {
 public:
  [[gnu::always_inline]] FlushDenormals() : before_(_mm_getcsr()) { set(before_ | kDaz | kFtz); }
  [[gnu::always_inline]] ~FlushDenormals() { set(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  static constexpr unsigned kDaz = 0x40, kFtz = 0x8000;

  /// No reading or writing of memory passes it.
  [[gnu::always_inline]] static void set(unsigned mode) {
    asm volatile("" : : : "memory");
    _mm_setcsr(mode);
    asm volatile("" : : : "memory");
  }

  const unsigned before_;
};

}  // namespace
}  // namespace llmpq
