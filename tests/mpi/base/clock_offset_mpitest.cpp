#include "base/clock_offset.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "mpi_test_main.hpp"

namespace llmpq {
namespace {

TEST(ClockOffset, OfOneHostIsNoneAndWhatIsAskedAgreesWithinItsError) {
  const Mpi& mpi = test_mpi();
  const ClockOffset known = clock_offset(mpi), asked = asked_clock_offset(mpi);
  EXPECT_EQ(known.offset_s, 0);  // one host here
  EXPECT_LE(std::abs(asked.offset_s), asked.error_s + 1e-9);
  EXPECT_LT(asked.error_s, 0.1);
  if (mpi.rank() > 0) {
    EXPECT_GT(asked.error_s, 0) << "nobody asked";
  }
}

}  // namespace
}  // namespace llmpq
