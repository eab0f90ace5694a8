#include "profile/least_squares.hpp"

#include <gtest/gtest.h>

namespace llmpq {
namespace {

TEST(LeastSquares, SolvesWhatHasASolution) {
  // x = 1e-9, y = 3: of very unlike size, as seconds per key and per step are.
  const std::vector<Equation> equations{
      {{{0, 1e9}, {1, 1.0}}, 4}, {{{0, 2e9}}, 2}, {{{1, 2.0}}, 6}, {{{0, 1e9}, {1, -1.0}}, -2}};
  const auto x = solve_least_squares(equations, 2);
  EXPECT_NEAR(x[0], 1e-9, 1e-15);
  EXPECT_NEAR(x[1], 3, 1e-6);
}

TEST(LeastSquares, TakesTheMeanOfContradictions) {
  const auto x = solve_least_squares({{{{0, 1.0}}, 1}, {{{0, 1.0}}, 3}}, 1);
  EXPECT_NEAR(x[0], 2, 1e-6);
}

TEST(LeastSquares, NothingIsNegative) {
  // Without the bound: x = -1, y = 3.
  const std::vector<Equation> equations{{{{0, 1.0}, {1, 1.0}}, 2}, {{{1, 1.0}}, 3}};
  const auto x = solve_least_squares(equations, 2);
  EXPECT_EQ(x[0], 0);
  EXPECT_NEAR(x[1], 2.5, 1e-6);
}

TEST(LeastSquares, UnknownsThatNoEquationHasAreZero) {
  const auto x = solve_least_squares({{{{1, 2.0}}, 4}}, 3);
  EXPECT_EQ(x[0], 0);
  EXPECT_NEAR(x[1], 2, 1e-6);
  EXPECT_EQ(x[2], 0);
  EXPECT_TRUE(solve_least_squares({}, 0).empty());
}

}  // namespace
}  // namespace llmpq
