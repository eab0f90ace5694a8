#include "base/process_memory.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

namespace llmpq {
namespace {

TEST(ProcessMemory, GrowsWithWhatIsFilled) {
  constexpr int64_t kBytes = int64_t{32} << 20;
  const int64_t before = anonymous_bytes();
  ASSERT_GT(before, 0);
  AnonymousPeak peak;
  void* const filled =  // from the system: an allocator may keep what is freed
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(filled, MAP_FAILED);
  std::memset(filled, 1, kBytes);
  EXPECT_NEAR(static_cast<double>(anonymous_bytes() - before), kBytes, kBytes / 50);
  peak.look();
  munmap(filled, kBytes);
  EXPECT_LT(anonymous_bytes(), before + kBytes / 2) << "it was given back";
  peak.look();
  EXPECT_GE(peak.bytes(), before + kBytes * 98 / 100);
}

}  // namespace
}  // namespace llmpq
