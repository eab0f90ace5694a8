#include "base/whole.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace llmpq {
namespace {

TEST(Whole, IsAnIntegerThatHasADoubleOfItsOwn) {
  for (const double value : {0.0, -0.0, 7.0, -1.0, 0x1p53 - 1, 1 - 0x1p53})
    EXPECT_TRUE(is_whole(value)) << value;
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double value : {0.5, -1e-9, 0x1p53, -0x1p53, 1e300, infinity, -infinity,
                             std::numeric_limits<double>::quiet_NaN()})
    EXPECT_FALSE(is_whole(value)) << value;
}

}  // namespace
}  // namespace llmpq
