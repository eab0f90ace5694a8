// Products of bf16 pairs against the plain ones, bit for bit, on a unit in plain C++.
#include "kernels/cpu/lanes_plain.hpp"
// The lanes come first: every kernel is written with their names.
#include "kernels/cpu/matmul_bf16_pairs.hpp"
#include "kernels/cpu/pairs_plain.hpp"
#include "kernels/cpu/tile_order.hpp"
#include "kernels/cpu/tiles_of_pairs.hpp"

#include <gtest/gtest.h>

#include "tiles_case.hpp"

namespace llmpq::test {
namespace {

TEST(PlainPairProduct, GivesThePlainBits) {
  expect_plain_bits(with_bf16_pairs<PlainPairs>(kernels_plain()), Format::kBf16);
}

TEST(PlainPairProduct, IsExactAtTheEndsOfTheRange) {
  expect_exact_ends(with_bf16_pairs<PlainPairs>(kernels_plain()), Format::kBf16);
}

/// A unit that adds the lower halves first.
struct OtherWayRound : PlainPairs {
  static F32x16 dot(F32x16 sum, const Pairs& w, const uint16_t* x) {
    Pairs turned;
    for (int i = 0; i < 2 * kLanes; ++i) turned.v[i] = w.v[i ^ 1];
    const uint16_t turned_x[2] = {x[1], x[0]};
    return PlainPairs::dot(sum, turned, turned_x);
  }
};

/// A unit that adds the sum of two products.
struct OneRounding : PlainPairs {
  static F32x16 dot(F32x16 sum, const Pairs& w, const uint16_t* x) {
    for (int i = 0; i < kLanes; ++i) {
      const double products = double{bf16_to_f32(w.v[2 * i])} * bf16_to_f32(x[0]) +
                              double{bf16_to_f32(w.v[2 * i + 1])} * bf16_to_f32(x[1]);
      sum.v[i] = static_cast<float>(sum.v[i] + products);
    }
    return sum;
  }
};

TEST(PairOrder, TheDocumentedOneIsAccepted) {
  EXPECT_EQ(first_difference<TilesOfPairs<PlainPairs>>(), nullptr);
}

TEST(PairOrder, OthersAreFound) {
  EXPECT_STREQ(first_difference<TilesOfPairs<OtherWayRound>>(), "ordinary numbers");
  EXPECT_STREQ(first_difference<TilesOfPairs<OneRounding>>(), "ordinary numbers");
}

}  // namespace
}  // namespace llmpq::test
