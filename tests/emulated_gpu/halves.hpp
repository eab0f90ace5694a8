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
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16, magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00)  // infinity, NaN
    return std::bit_cast<float>(sign | 0x7f800000u | magnitude << 13);
  // exponents begin at -14 instead of -126, for subnormals too
  const float value = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
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
uint16_t rounded(float value) {
  if (std::isnan(value)) return 0x7fff;
  const auto bits = std::bit_cast<uint32_t>(value);
  if constexpr (kType == Half::kBf16)
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 65520 and more
  if (magnitude < 0x38800000u) {  // below 2^-14: a multiple of 2^-24, which adding 0.5 rounds to
    const float sum = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(sum) - 0x3f000000u));
  }
  const uint32_t rebased = magnitude - (112u << 23);
  return static_cast<uint16_t>(sign | (rebased + 0xfff + (rebased >> 13 & 1)) >> 13);
}
template <Half kType>
uint16_t rounded(double value) {
  return rounded<kType>(rounded_to_odd(value));
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
