// Random numbers without state: Philox4x32-10, a counter-based generator (Salmon, Moraes, Dror and
// Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The number of a draw is a function
// of what is drawn, so no cut of the work can change it.
#pragma once

#include <array>
#include <cstdint>

namespace llmpq {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

/// 128 random bits: a bijection of the counter, another one for each key.
constexpr PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key) {
  constexpr int kRounds = 10;
  constexpr uint64_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
  constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t a = kMultiplier0 * counter[0], b = kMultiplier1 * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return counter;
}

/// The two uses have counters that differ in the last word.
enum class RandomUse : uint32_t { kDraw = 0, kRowSeed = 1 };

constexpr uint64_t random_bits(uint64_t key, PhiloxCounter counter) {
  const PhiloxCounter bits =
      philox4x32(counter, {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)});
  return bits[0] | static_cast<uint64_t>(bits[1]) << 32;
}

/// The 64 bits that choose the token at `position` (prompt tokens counted) of a row's sample.
constexpr uint64_t draw_bits(uint64_t row_seed, int32_t sample, int64_t position) {
  return random_bits(row_seed,
                     {static_cast<uint32_t>(position),
                      static_cast<uint32_t>(static_cast<uint64_t>(position) >> 32),
                      static_cast<uint32_t>(sample), static_cast<uint32_t>(RandomUse::kDraw)});
}

/// The seed of a row that brings none of its own: of the job's seed and the row's index in the
/// file.
constexpr uint64_t row_seed(uint64_t job_seed, int64_t file_row) {
  return random_bits(job_seed, {static_cast<uint32_t>(file_row),
                                static_cast<uint32_t>(static_cast<uint64_t>(file_row) >> 32), 0,
                                static_cast<uint32_t>(RandomUse::kRowSeed)});
}

}  // namespace llmpq
