#include "base/pieces.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "mpi_test_main.hpp"

namespace llmpq {
namespace {

std::byte byte_at(int64_t at) { return static_cast<std::byte>(at % 251); }

/// From the last rank to the first, in pieces that end where one ends, and where none does.
TEST(Pieces, ComeInOrderAndWhole) {
  const Mpi& mpi = test_mpi();
  if (mpi.size() == 1) GTEST_SKIP() << "between two ranks";
  constexpr int kTag = 99;
  const int from = mpi.size() - 1;
  for (const int64_t bytes : {0ll, 5ll, 16ll << 20, (40ll << 20) + 3}) {
    int64_t received = 0, wrong = 0;
    size_t most = 0;
    if (mpi.rank() == from)
      send_pieces(mpi, 0, kTag, bytes, [](int64_t begin, std::span<std::byte> to) {
        for (std::byte& each : to) each = byte_at(begin++);
      });
    if (mpi.rank() != 0) continue;
    receive_pieces(mpi, from, kTag, bytes, [&](int64_t begin, std::span<const std::byte> piece) {
      EXPECT_EQ(begin, received);
      most = std::max(most, piece.size());
      for (const std::byte each : piece) wrong += each != byte_at(received++);
    });
    EXPECT_EQ(received, bytes);
    EXPECT_EQ(wrong, 0);
    EXPECT_LE(most, size_t{16} << 20);
  }
}

}  // namespace
}  // namespace llmpq
