// Products by tiles against the plain ones, bit for bit, on a tile unit in plain C++.
#include "kernels/cpu/lanes_plain.hpp"
// The lanes come first: every kernel is written with their names.
#include "kernels/cpu/matmul_amx_bf16.hpp"
#include "kernels/cpu/tiles_plain.hpp"

#include <gtest/gtest.h>

#include "tiles_case.hpp"

namespace llmpq::test {
namespace {

const KernelTable& kernels_plain_tiles() {
  static const KernelTable table =
      with_bf16_tiles<PlainTiles>(with_tiles<PlainTiles, kernels_plain>());
  return table;
}

class PlainTileProduct : public testing::TestWithParam<Format> {};

TEST_P(PlainTileProduct, GivesThePlainBits) {
  expect_plain_bits(kernels_plain_tiles(), GetParam());
}

TEST_P(PlainTileProduct, IsExactAtTheEndsOfTheRange) {
  expect_exact_ends(kernels_plain_tiles(), GetParam());
}

TEST(PlainTileBf16Product, GivesThePlainBits) {
  expect_plain_bits(kernels_plain_tiles(), Format::kBf16);
}

INSTANTIATE_TEST_SUITE_P(All, PlainTileProduct,
                         testing::Values(Format::kW8, Format::kW4, Format::kW3),
                         [](const auto& info) { return std::string(name(info.param)); });

/// What the kernel may rely on: the two units do the same, step by step, with steps between rows.
TEST(PlainTiles, MultiplyAndAddLikeTheDefinition) {
  Random random(5);
  std::vector<int8_t> x(16 * 100);
  std::vector<uint8_t> w(16 * 64);
  for (int8_t& v : x) v = static_cast<int8_t>(random.below(255) - 127);
  for (uint8_t& v : w) v = static_cast<uint8_t>(random.below(256));
  PlainTiles tiles;
  tiles.zero<2>();
  tiles.load<4>(x.data(), 100);
  tiles.load<6>(w.data(), 64);
  tiles.dot<2, 4, 6>();
  tiles.dot<2, 4, 6>();
  std::vector<int32_t> got(16 * 20, -1);
  tiles.store<2>(got.data(), 80);
  for (int64_t m = 0; m < 16; ++m)
    for (int64_t n = 0; n < 20; ++n) {
      int32_t wanted = 0;
      for (int64_t i = 0; i < 64 && n < 16; ++i)
        wanted += 2 * x[m * 100 + i] * w[i / 4 * 64 + 4 * n + i % 4];
      EXPECT_EQ(got[m * 20 + n], n < 16 ? wanted : -1) << m << " " << n;
    }
}

}  // namespace
}  // namespace llmpq::test
