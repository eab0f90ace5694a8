#include "base/process_memory.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

namespace llmpq {
namespace {

TEST(ProcessMemory, GrowsWithWhatIsFilled) {
  constexpr int64_t kBytes = int64_t{32} << 20;
  const int64_t before = anonymous_bytes();
  ASSERT_GT(before, 0);
  AnonymousPeak peak;
  {
    const std::vector<std::byte> filled(kBytes, std::byte{1});
    EXPECT_EQ(filled.back(), std::byte{1});
    EXPECT_NEAR(static_cast<double>(anonymous_bytes() - before), kBytes, kBytes / 50);
    peak.look();
  }
  EXPECT_LT(anonymous_bytes(), before + kBytes / 2) << "it was given back";
  peak.look();
  EXPECT_GE(peak.bytes(), before + kBytes * 98 / 100);
}

}  // namespace
}  // namespace llmpq
