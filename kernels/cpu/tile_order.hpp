// Whether a CPU's tile unit, or its products of pairs (tiles_of_pairs.hpp), multiply bf16 numbers
// in the documented order, which all other kernels follow (matmul_bf16.hpp): their products of
// random and of extreme numbers are compared, bit for bit, with those of PlainTiles. Some
// milliseconds, before a unit is used for the first time.
#pragma once

#include <cstdint>

#include "kernels/cpu/tiles_plain.hpp"

namespace llmpq {
namespace {

constexpr int64_t kOrderRows = 16, kOrderInputs = 32, kOrderRounds = 4;

/// Of which size the numbers of a comparison are: biased exponents, [least, most]; 0: denormal.
struct NumberKind {
  const char* name;
  int x[2], w[2], c[2];
};
constexpr NumberKind kNumberKinds[] = {
    {"ordinary numbers", {117, 137}, {117, 137}, {117, 140}},
    {"numbers of very different sizes", {60, 190}, {60, 190}, {30, 220}},
    {"products that underflow", {58, 70}, {58, 70}, {0, 14}},
    {"denormal inputs", {0, 1}, {240, 254}, {114, 126}},
    {"denormal weights", {240, 254}, {0, 1}, {114, 126}},
    {"numbers near overflow, infinity and NaN", {184, 255}, {184, 255}, {230, 255}},
};

/// The operands of two products, one after the other.
struct OrderCase {
  alignas(64) uint16_t x[kOrderRows][kOrderInputs];
  alignas(64) uint16_t w[kOrderRows][kOrderInputs];  ///< [pair of inputs, 2 output + which]
  alignas(64) uint32_t c[kOrderRows][kOrderRows];
};

/// xorshift64*.
class OrderRandom {
 public:
  uint32_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<uint32_t>(state_ * 0x2545f4914f6cdd1du >> 32);
  }
  /// An f32 number with an exponent of the range, either sign.
  uint32_t number(const int (&exponents)[2]) {
    const auto choices = static_cast<uint32_t>(exponents[1] - exponents[0] + 1);
    const uint32_t exponent = static_cast<uint32_t>(exponents[0]) + next() % choices;
    return (next() & 0x807fffffu) | exponent << 23;
  }
  uint16_t bf16(const int (&exponents)[2]) {
    return static_cast<uint16_t>(number(exponents) >> 16);
  }

 private:
  uint64_t state_ = 0x9e3779b97f4a7c15u;
};

inline OrderCase case_of(const NumberKind& kind, OrderRandom& random) {
  OrderCase made;
  for (auto& row : made.x)
    for (uint16_t& x : row) x = random.bf16(kind.x);
  for (auto& row : made.w)
    for (uint16_t& w : row) w = random.bf16(kind.w);
  for (auto& row : made.c)
    for (uint32_t& c : row) c = random.number(kind.c);
  return made;
}

/// Sums that all but cancel: the second half of the inputs is the first one, negated, and their
/// weights are a bit or less away from the first half's.
inline OrderCase cancelling(OrderRandom& random) {
  OrderCase made = case_of(kNumberKinds[0], random);
  for (int64_t row = 0; row < kOrderRows; ++row) {
    for (int64_t i = kOrderInputs / 2; i < kOrderInputs; ++i)
      made.x[row][i] = made.x[row][i - kOrderInputs / 2] ^ 0x8000u;
    if (row < kOrderRows / 2) continue;
    for (int64_t i = 0; i < kOrderInputs; ++i)
      made.w[row][i] = static_cast<uint16_t>(made.w[row - kOrderRows / 2][i] ^ (random.next() & 1));
  }
  return made;
}

/// Sums that round to 2^-126 or to the number below, which counts as zero: 2^-63 * 2^-63 less
/// something around 2^-151.
inline OrderCase at_the_edge(OrderRandom& random) {
  constexpr uint16_t kHalfway = 64 << 7;  // 2^-63
  constexpr int kFraction[2] = {127 - 76, 127 - 75};
  OrderCase made = case_of({"", {0, 0}, {0, 0}, {0, 0}}, random);
  for (int64_t i = 0; i < kOrderRows; ++i) {
    for (int64_t j = 0; j < 2; ++j) {
      made.x[i][j] = made.w[0][2 * i + j] = kHalfway;
      made.x[i][2 + j] = random.bf16(kFraction) | 0x8000u;
      made.w[1][2 * i + j] = random.bf16(kFraction) & 0x7fffu;
    }
  }
  return made;
}

template <typename Tiles>
void multiply_twice(OrderCase& numbers) {
  constexpr int64_t kRowBytes = 64;
  Tiles tiles;
  tiles.template load<0>(numbers.c, kRowBytes);
  tiles.template load<4>(numbers.x, kRowBytes);
  tiles.template load<6>(numbers.w, kRowBytes);
  tiles.template dot_bf16<0, 4, 6>();
  tiles.template dot_bf16<0, 4, 6>();
  tiles.template store<0>(numbers.c, kRowBytes);
}

/// Any NaN is as good as another.
inline bool same_numbers(uint32_t a, uint32_t b) {
  constexpr uint32_t kInfinity = 0x7f800000u, kSign = 0x80000000u;
  return a == b || ((a & ~kSign) > kInfinity && (b & ~kSign) > kInfinity);
}

template <typename Tiles>
bool multiplies_like_plain(const OrderCase& numbers) {
  OrderCase got = numbers, wanted = numbers;
  multiply_twice<Tiles>(got);
  multiply_twice<PlainTiles>(wanted);
  for (int64_t row = 0; row < kOrderRows; ++row)
    for (int64_t i = 0; i < kOrderRows; ++i)
      if (!same_numbers(got.c[row][i], wanted.c[row][i])) return false;
  return true;
}

/// The first kind of numbers whose products differ from the documented ones; nullptr if none does.
template <typename Tiles>
const char* first_difference() {
  OrderRandom random;
  for (int64_t round = 0; round < kOrderRounds; ++round) {
    for (const NumberKind& kind : kNumberKinds)
      if (!multiplies_like_plain<Tiles>(case_of(kind, random))) return kind.name;
    if (!multiplies_like_plain<Tiles>(cancelling(random))) return "sums that cancel";
    if (!multiplies_like_plain<Tiles>(at_the_edge(random))) return "sums next to 2^-126";
  }
  return nullptr;
}

}  // namespace
}  // namespace llmpq
