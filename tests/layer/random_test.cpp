#include "layer/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <set>

namespace llmpq {
namespace {

/// The known answers that Random123 ships for philox4x32 with 10 rounds.
TEST(Random, PhiloxKnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, EveryPartOfTheKeyMatters) {
  std::set<uint64_t> seen;
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, ~uint64_t{0}})
    for (int32_t sample : {0, 1, 7})
      for (int64_t position : {int64_t{0}, int64_t{1}, int64_t{1} << 33})
        seen.insert(draw_bits(seed, sample, position));
  for (uint64_t job : {0, 1}) {
    for (int64_t row : {int64_t{0}, int64_t{1}, int64_t{1} << 33}) seen.insert(row_seed(job, row));
  }
  EXPECT_EQ(seen.size(), 4u * 3 * 3 + 2 * 3);
}

/// Each bit is 1 in half of the draws, within five standard deviations; so is the equality of
/// neighbours' bits.
TEST(Random, BitsAreEven) {
  constexpr int kDraws = 20000;
  std::array<int, 64> ones{}, changes{};
  uint64_t before = draw_bits(7, 0, -1);
  for (int position = 0; position < kDraws; ++position) {
    const uint64_t bits = draw_bits(7, 0, position);
    for (int bit = 0; bit < 64; ++bit) {
      ones[static_cast<size_t>(bit)] += (bits >> bit) & 1;
      changes[static_cast<size_t>(bit)] += ((bits ^ before) >> bit) & 1;
    }
    before = bits;
  }
  const double limit = 5 * std::sqrt(kDraws * 0.25);
  for (size_t bit = 0; bit < 64; ++bit) {
    EXPECT_NEAR(ones[bit], kDraws / 2, limit) << "bit " << bit;
    EXPECT_NEAR(changes[bit], kDraws / 2, limit) << "bit " << bit;
  }
}

}  // namespace
}  // namespace llmpq
