#include "kernels/rope_tables.hpp"

#include <cmath>

namespace llmpq {
namespace {

struct SineCosine {
  double sine, cosine;
};

/// |r| <= pi / 4: Taylor series, the first left-out term is below 2^-58.
SineCosine sine_cosine_near_zero(double r) {
  const double z = r * r;
  double s = 0, c = 0;
  for (int n = 17; n >= 3; n -= 2) s = (s + 1) * -z / (n * (n - 1));
  for (int n = 18; n >= 2; n -= 2) c = (c + 1) * -z / (n * (n - 1));
  return {std::fma(r, s, r), 1 + c};
}

/// a = n pi/2 + r, with pi/2 in two doubles.
SineCosine sine_cosine(double a) {
  constexpr double kHalfPiHigh = 0x1.921fb54442d18p+0, kHalfPiLow = 0x1.1a62633145c07p-54;
  const double n = std::nearbyint(a * 0x1.45f306dc9c883p-1);
  const double r = std::fma(-n, kHalfPiLow, std::fma(-n, kHalfPiHigh, a));
  const SineCosine near = sine_cosine_near_zero(r);
  switch (static_cast<int64_t>(n) & 3) {
    case 0:
      return near;
    case 1:
      return {near.cosine, -near.sine};
    case 2:
      return {-near.sine, -near.cosine};
    default:
      return {-near.cosine, near.sine};
  }
}

}  // namespace

void rope_tables(float* cosine, float* sine, int64_t positions, int64_t half, const float* inv_freq,
                 float attention_factor) {
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(p) * inv_freq[i];
      const SineCosine value = sine_cosine(static_cast<double>(angle));
      cosine[p * half + i] = static_cast<float>(value.cosine) * attention_factor;
      sine[p * half + i] = static_cast<float>(value.sine) * attention_factor;
    }
  }
}

}  // namespace llmpq
