// Numbers of 16 bits as their bits, and arithmetic with them rounded as the GPU rounds.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace llmpq::emulated {

enum class Half { kBf16, kF16 };

template <Half kType>
float widened(uint16_t bits) {
  if constexpr (kType == Half::kBf16) return std::bit_cast<float>(uint32_t{bits} << 16);
  return static_cast<float>(std::bit_cast<_Float16>(bits));
}

/// The number below `value` in magnitude, if it is not a float; an odd last bit then says so: with
/// two bits more than the result needs, rounding once more is as good as rounding once.
inline float rounded_to_odd(double value) {
  const float nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || std::isnan(value)) return nearest;
  uint32_t bits = std::bit_cast<uint32_t>(nearest);
  if (std::fabs(static_cast<double>(nearest)) > std::fabs(value)) --bits;
  return std::bit_cast<float>(bits | 1);
}

/// A sum that a double cannot hold, likewise.
inline double sum_to_odd(double a, double b) {
  const double sum = a + b;
  const double b_part = sum - a, lost = (a - (sum - b_part)) + (b - b_part);
  if (!std::isfinite(sum) || lost == 0) return sum;
  const auto bits = std::bit_cast<uint64_t>(sum);
  const bool too_large = std::signbit(lost) != std::signbit(sum);
  return std::bit_cast<double>((too_large ? bits - 1 : bits) | 1);
}

/// To the nearest, ties to even; NaN is 0x7fff.
template <Half kType>
uint16_t rounded(double value) {
  if (std::isnan(value)) return 0x7fff;
  const float odd = rounded_to_odd(value);
  if constexpr (kType == Half::kF16) return std::bit_cast<uint16_t>(static_cast<_Float16>(odd));
  const auto bits = std::bit_cast<uint32_t>(odd);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// fma.rn.bf16x2 and fma.rn.f16x2: a * b + c in both halves, each rounded once.
template <Half kType>
uint32_t fma_pairs(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t result = 0;
  for (int half = 0; half < 2; ++half) {
    const auto value = [&](uint32_t pair) -> double {
      return widened<kType>(static_cast<uint16_t>(pair >> 16 * half));
    };
    const uint32_t sum = rounded<kType>(sum_to_odd(value(a) * value(b), value(c)));
    result |= sum << 16 * half;
  }
  return result;
}

/// Towards zero, as tensor cores cut their sums.
inline float cut_to_float(double value) {
  const float nearest = static_cast<float>(value);
  if (!(std::fabs(static_cast<double>(nearest)) > std::fabs(value))) return nearest;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(nearest) - 1);
}

/// ex2.approx.ftz.f32, but for the last bits of the result.
inline float exp2_flushed(float x) {
  const auto flushed = [](float v) { return std::fpclassify(v) == FP_SUBNORMAL ? 0.0f : v; };
  return flushed(std::exp2(flushed(x)));
}

}  // namespace llmpq::emulated
