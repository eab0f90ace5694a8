// The integer product by tiles against the plain one, bit for bit: on a tile unit in plain C++
// everywhere, on AMX where the CPU has it, and where it has all but the tiles, with those trapped.
#include "kernels/cpu/lanes_plain.hpp"
// The lanes come first: every kernel is written with their names.
#include "kernels/cpu/matmul_amx.hpp"
#include "kernels/cpu/tiles_plain.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/cpu/context.hpp"
#include "kernels/cpu/linear.hpp"
#include "support.hpp"
#include "trapped_tiles.hpp"

namespace llmpq::test {
namespace {

struct Unit {
  const char* name;
  Isa needs;
  const KernelTable& (*table)();
  bool trapped;
};

const KernelTable& kernels_plain_tiles() {
  static const KernelTable table = with_tiles<PlainTiles, kernels_plain>();
  return table;
}

constexpr Unit kUnits[] = {{"plain_tiles", Isa::kPlain, kernels_plain_tiles, false},
                           {"trapped_amx", Isa::kVnni, kernels_amx, true},
                           {"amx", Isa::kAmx, kernels_amx, false}};

struct Shape {
  int64_t tokens, n, k;
};

/// Edges of the blocks of rows, of panels and of groups, one at a time and together.
constexpr Shape kShapes[] = {
    {7, 32, 128},   {8, 32, 128},   {15, 16, 64},   {16, 17, 65},   {17, 31, 63},
    {31, 33, 127},  {32, 48, 129},  {33, 64, 192},  {48, 20, 20},   {49, 65, 193},
    {100, 96, 300}, {192, 32, 256}, {193, 40, 131}, {385, 16, 132}, {9, 1, 1},
};

std::vector<float> product(CpuContext& context, const Shape& shape, const Matrix& w,
                           const std::vector<float>& x, const std::vector<float>& bias) {
  std::vector<float> y(static_cast<size_t>(shape.tokens * shape.n), -77.0f);
  linear(context,
         {x.data(), &w, bias.data(), ActivationType::kInt8, shape.tokens, y.data(), shape.n});
  return y;
}

class MatmulTiles : public testing::TestWithParam<std::tuple<Unit, Format>> {
 protected:
  void SetUp() override {
    if (!has_isa(std::string(name(unit().needs))))
      GTEST_SKIP() << "this CPU has no " << name(unit().needs);
    if (!unit().trapped) return;
    if (has_isa("amx")) GTEST_SKIP() << "nothing traps: this CPU has amx";
    trap_ = std::make_unique<TrappedTiles>();
    products_before_ = trapped_products();
  }
  void TearDown() override {
    if (trap_ != nullptr) {
      EXPECT_GT(trapped_products(), products_before_);
    }
  }
  static const Unit& unit() { return std::get<0>(GetParam()); }
  static Format format() { return std::get<1>(GetParam()); }

  CpuContext fast_{unit().table(), pool_}, plain_{kernels_plain(), one_};

 private:
  ThreadPool pool_{3}, one_{1};
  std::unique_ptr<TrappedTiles> trap_;
  int64_t products_before_ = 0;
};

TEST_P(MatmulTiles, GivesThePlainBits) {
  for (const Shape& shape : kShapes) {
    Random random(static_cast<uint64_t>(shape.tokens * 1000 + shape.k));
    const Matrix w = packed_matrix(*machines().front(), format(), shape.n, shape.k,
                                   random.vector(shape.n * shape.k, 0.7f));
    const std::vector<float> x = random.vector(shape.tokens * shape.k, 3.0f);
    const std::vector<float> bias = random.vector(shape.n);
    expect_same_bits(product(fast_, shape, w, x, bias), product(plain_, shape, w, x, bias),
                     fmt::format("{}x{}x{}", shape.tokens, shape.n, shape.k));
  }
}

/// The largest sums there are: every weight and input at the end of its range.
TEST_P(MatmulTiles, IsExactAtTheEndsOfTheRange) {
  constexpr Shape kShape{32, 32, 256};
  for (const float sign : {1.0f, -1.0f}) {
    const std::vector<float> weights(static_cast<size_t>(kShape.n * kShape.k), sign);
    const std::vector<float> x(static_cast<size_t>(kShape.tokens * kShape.k), -3.0f), bias(32, 0);
    const Matrix w = packed_matrix(*machines().front(), format(), kShape.n, kShape.k, weights);
    for (const float y : product(fast_, kShape, w, x, bias)) ASSERT_FLOAT_EQ(y, sign * -768.0f);
  }
}

INSTANTIATE_TEST_SUITE_P(All, MatmulTiles,
                         testing::Combine(testing::ValuesIn(kUnits),
                                          testing::Values(Format::kW8, Format::kW4, Format::kW3)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) + "_" +
                                  std::string(name(std::get<1>(info.param)));
                         });

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
