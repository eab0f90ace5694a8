#include "input/tensor_places.hpp"

#include <gtest/gtest.h>

#include <set>

namespace llmpq {
namespace {

TEST(TensorPlaces, FusedRowsAreInterleavedPerHead) {
  // Two heads of three rows: q0 k0 v0 q1 k1 v1.
  std::set<int64_t> rows;
  for (const TensorRole role : {TensorRole::kQ, TensorRole::kK, TensorRole::kV})
    for (int64_t row = 0; row < 6; ++row) rows.insert(fused_row(role, row, 3));
  EXPECT_EQ(rows.size(), 18u);
  EXPECT_EQ(*rows.rbegin(), 17);
  EXPECT_EQ(fused_row(TensorRole::kQ, 4, 3), 10);
  EXPECT_EQ(fused_row(TensorRole::kKBias, 0, 3), 3);
  EXPECT_EQ(fused_row(TensorRole::kV, 5, 3), 17);
}

}  // namespace
}  // namespace llmpq
