#include "profile/least_squares.hpp"

#include <algorithm>
#include <cmath>

namespace llmpq {
namespace {

/// Of the scaled matrix's diagonal, which is 1: settles unknowns that the equations leave open.
constexpr double kRidge = 1e-10;

using Matrix = std::vector<std::vector<double>>;

/// The normal equations, each unknown scaled so that the diagonal is 1.
struct Normal {
  Matrix a;
  std::vector<double> b, scale;  ///< x = scaled x / scale
};

Normal normal_equations(const std::vector<Equation>& equations, size_t unknowns) {
  Normal normal{Matrix(unknowns, std::vector<double>(unknowns)), std::vector<double>(unknowns),
                std::vector<double>(unknowns)};
  for (const Equation& equation : equations)
    for (const auto& left : equation.terms) {
      normal.b[left.index] += left.coefficient * equation.value;
      for (const auto& right : equation.terms)
        normal.a[left.index][right.index] += left.coefficient * right.coefficient;
    }
  for (size_t i = 0; i < unknowns; ++i) normal.scale[i] = std::sqrt(normal.a[i][i]);
  for (size_t i = 0; i < unknowns; ++i) {
    if (normal.scale[i] == 0) continue;
    normal.b[i] /= normal.scale[i];
    for (size_t j = 0; j < unknowns; ++j)
      if (normal.scale[j] != 0) normal.a[i][j] /= normal.scale[i] * normal.scale[j];
  }
  return normal;
}

/// Cholesky over the unknowns `free`.
std::vector<double> solve(const Normal& normal, const std::vector<size_t>& free) {
  const size_t n = free.size();
  Matrix low(n, std::vector<double>(n));
  std::vector<double> x(n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double rest = normal.a[free[i]][free[j]] + (i == j ? kRidge : 0);
      for (size_t k = 0; k < j; ++k) rest -= low[i][k] * low[j][k];
      low[i][j] = i == j ? std::sqrt(std::max(rest, kRidge)) : rest / low[j][j];
    }
    double rest = normal.b[free[i]];
    for (size_t k = 0; k < i; ++k) rest -= low[i][k] * x[k];
    x[i] = rest / low[i][i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) x[i] -= low[k][i] * x[k];
    x[i] /= low[i][i];
  }
  return x;
}

}  // namespace

std::vector<double> solve_least_squares(const std::vector<Equation>& equations, size_t unknowns) {
  const Normal normal = normal_equations(equations, unknowns);
  std::vector<size_t> free;
  for (size_t i = 0; i < unknowns; ++i)
    if (normal.scale[i] > 0) free.push_back(i);
  std::vector<double> x(unknowns, 0);
  while (!free.empty()) {
    const std::vector<double> solved = solve(normal, free);
    const auto least = std::min_element(solved.begin(), solved.end());
    if (*least < 0) {
      free.erase(free.begin() + (least - solved.begin()));
      continue;
    }
    for (size_t i = 0; i < free.size(); ++i) x[free[i]] = solved[i] / normal.scale[free[i]];
    break;
  }
  return x;
}

}  // namespace llmpq
