// exp, tanh, erf and the rope tables against libm in double, with the largest error in ulp stated;
// the same bits on every instruction set.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/cpu/kernel_table.hpp"
#include "kernels/rope_tables.hpp"
#include "support.hpp"

namespace llmpq::test {
namespace {

using Loop = void (*)(const float*, int64_t, float*);
using Member = Loop KernelTable::*;

/// |actual - wanted| in units of the last place of the f32 nearest to wanted.
double ulps(float actual, double wanted) {
  const float nearest = std::fabs(static_cast<float>(wanted));
  if (std::isinf(nearest)) return std::isinf(actual) && (actual > 0) == (wanted > 0) ? 0 : INFINITY;
  const double unit = static_cast<double>(std::nextafter(nearest, INFINITY)) - nearest;
  return std::fabs(actual - wanted) / unit;
}

/// Floats of both signs, evenly over the exponents from 2^low to 2^high, and the special ones.
std::vector<float> samples(int low, int high) {
  std::vector<float> values = {0.0f, -0.0f, 1e-45f, -1e-45f, INFINITY, -INFINITY, 3e38f, -3e38f};
  Random random(11);
  for (int i = 0; i < 400000; ++i) {
    const float exponent = (random.uniform() + 1) / 2 * static_cast<float>(high - low) + low;
    values.push_back(std::exp2(exponent) * (i % 2 == 0 ? 1.0f : -1.0f));
  }
  return values;
}

void check_function(Member member, double (*wanted)(double), double limit, int low, int high) {
  const std::vector<float> x = samples(low, high);
  std::vector<float> first;
  for (const Isa isa : available_isas()) {
    std::vector<float> y(x.size());
    (kernels(isa).*member)(x.data(), static_cast<int64_t>(x.size()), y.data());
    if (!first.empty()) {
      expect_same_bits(y, first, std::string(name(isa)));
      continue;
    }
    first = y;
    size_t worst = 0;
    double most = -1;
    for (size_t i = 0; i < x.size(); ++i) {
      const double error = ulps(y[i], wanted(x[i]));
      if (!(error <= most)) {
        most = error;
        worst = i;
      }
    }
    EXPECT_LE(most, limit) << "x = " << x[worst] << ": got " << y[worst] << ", want "
                           << wanted(x[worst]);
    std::printf("largest error %.3f ulp at x = %.9g\n", most, x[worst]);
  }
  const float nan = std::nanf("");
  for (const Isa isa : available_isas()) {
    float y = 0;
    (kernels(isa).*member)(&nan, 1, &y);
    EXPECT_TRUE(std::isnan(y)) << name(isa);
  }
}

TEST(Math, Exp) { check_function(&KernelTable::exp, std::exp, 1.0, -30, 7); }
TEST(Math, Tanh) { check_function(&KernelTable::tanh, std::tanh, 1.3, -30, 5); }
TEST(Math, Erf) { check_function(&KernelTable::erf, std::erf, 1.6, -30, 4); }

TEST(Math, ExpOfZeroIsOneAndOfMinusInfinityZero) {
  const float x[] = {0.0f, -0.0f, -INFINITY, -104.5f, INFINITY, 89.0f};
  const float want[] = {1.0f, 1.0f, 0.0f, 0.0f, INFINITY, INFINITY};
  for (const Isa isa : available_isas()) {
    float y[6];
    kernels(isa).exp(x, 6, y);
    for (int i = 0; i < 6; ++i) EXPECT_EQ(y[i], want[i]) << name(isa) << " " << x[i];
  }
}

TEST(RopeTables, AreWithinOneUlpOfTheAngle) {
  const int64_t half = 64, positions = 3000;
  std::vector<float> inv_freq, cosine(half * positions), sine(half * positions);
  for (int64_t i = 0; i < half; ++i)
    inv_freq.push_back(std::pow(10000.0f, -static_cast<float>(i) / half));
  inv_freq[1] = 5000.0f;  // large angles too: up to 1.5e7
  rope_tables(cosine.data(), sine.data(), positions, half, inv_freq.data(), 1.0f);
  double most = 0;
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<float>(p) * inv_freq[i];
      most = std::max({most, ulps(cosine[p * half + i], std::cos(angle)),
                       ulps(sine[p * half + i], std::sin(angle))});
    }
  }
  std::printf("largest error %.4f ulp\n", most);
  EXPECT_GT(most, 0.1);
  EXPECT_LE(most, 0.501);
}

TEST(RopeTables, TheAttentionFactorScalesBoth) {
  const float inv_freq[] = {1.0f, 0.25f};
  float cosine[6], sine[6], plain_cosine[6], plain_sine[6];
  rope_tables(cosine, sine, 3, 2, inv_freq, 1.5f);
  rope_tables(plain_cosine, plain_sine, 3, 2, inv_freq, 1.0f);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(cosine[i], plain_cosine[i] * 1.5f);
    EXPECT_EQ(sine[i], plain_sine[i] * 1.5f);
  }
  EXPECT_EQ(plain_cosine[0], 1.0f);
  EXPECT_EQ(plain_sine[0], 0.0f);
}

}  // namespace
}  // namespace llmpq::test
