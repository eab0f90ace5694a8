// What every tile unit must give: the bits of the plain product, of integers or of bf16 numbers.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/cpu/context.hpp"
#include "kernels/cpu/linear.hpp"
#include "support.hpp"

namespace llmpq::test {
namespace {

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
  const bool is_bf16 = w.format == Format::kBf16;
  std::vector<float> y(static_cast<size_t>(shape.tokens * shape.n), -77.0f);
  linear(context,
         {x.data(), &w, bias.data(), is_bf16 ? ActivationType::kBf16 : ActivationType::kInt8,
          shape.tokens, y.data(), shape.n});
  return y;
}

/// `table`'s products are those of the plain one.
void expect_plain_bits(const KernelTable& table, Format format) {
  ThreadPool pool(3), one(1);
  CpuContext fast(table, pool), plain(kernels_plain(), one);
  for (const Shape& shape : kShapes) {
    Random random(static_cast<uint64_t>(shape.tokens * 1000 + shape.k));
    const Matrix w = packed_matrix(*machines().front(), format, shape.n, shape.k,
                                   random.vector(shape.n * shape.k, 0.7f));
    const std::vector<float> x = random.vector(shape.tokens * shape.k, 3.0f);
    const std::vector<float> bias = random.vector(shape.n);
    expect_same_bits(product(fast, shape, w, x, bias), product(plain, shape, w, x, bias),
                     fmt::format("{}x{}x{}", shape.tokens, shape.n, shape.k));
  }
}

/// The largest sums there are: every weight and input at the end of its range.
void expect_exact_ends(const KernelTable& table, Format format) {
  constexpr Shape kShape{32, 32, 256};
  ThreadPool pool(3);
  CpuContext fast(table, pool);
  for (const float sign : {1.0f, -1.0f}) {
    const std::vector<float> weights(static_cast<size_t>(kShape.n * kShape.k), sign);
    const std::vector<float> x(static_cast<size_t>(kShape.tokens * kShape.k), -3.0f), bias(32, 0);
    const Matrix w = packed_matrix(*machines().front(), format, kShape.n, kShape.k, weights);
    for (const float y : product(fast, kShape, w, x, bias)) ASSERT_FLOAT_EQ(y, sign * -768.0f);
  }
}

}  // namespace
}  // namespace llmpq::test
