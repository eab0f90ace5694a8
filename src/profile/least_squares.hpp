// Linear least squares for a few hundred equations. Used by fit.cpp.
#pragma once

#include <cstddef>
#include <vector>

namespace llmpq {

/// sum over terms of coefficient * x[index] = value.
struct Equation {
  struct Term {
    size_t index;
    double coefficient;
  };
  std::vector<Term> terms;
  double value = 0;
};

/// The x, none below 0, that makes the sum of squared differences small: unknowns that come out
/// negative are set to 0, the most negative one first, and the rest is solved again. Unknowns that
/// no equation has are 0.
std::vector<double> solve_least_squares(const std::vector<Equation>& equations, size_t unknowns);

}  // namespace llmpq
