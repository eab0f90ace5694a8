// What the time of a step depends on: how many rows of which kind it has, and how many keys they
// look at. The profiler measures over it, the latency model is a function of it, the simulator
// counts it from the scheduler's steps.
#pragma once

#include <algorithm>
#include <cstdint>

namespace llmpq {

struct StepShape {
  int64_t prefill_rows = 0;
  int64_t prefill_keys = 0;  ///< over all prefill rows: the keys that a row attends to, itself too
  int64_t decode_rows = 0;   ///< ranges of one row
  int64_t decode_keys = 0;   ///< over all decode rows
  int64_t samples = 0;       ///< rows that choose a token
  int64_t prefill_context = 0;  ///< over ranges of prefill rows: keys up to the last row, once each
  int64_t rows() const { return prefill_rows + decode_rows; }
};

/// Keys of `rows` consecutive rows of which the first is at `position`: sum of position + 1 + i.
constexpr int64_t keys_of(int64_t position, int64_t rows) {
  return rows * (position + 1) + rows * (rows - 1) / 2;
}

/// The same where each row looks at the last `window` keys at most; 0: no window.
constexpr int64_t keys_of(int64_t position, int64_t rows, int64_t window) {
  const int64_t growing = window == 0 ? rows : std::clamp<int64_t>(window - position, 0, rows);
  return keys_of(position, growing) + (rows - growing) * window;
}

}  // namespace llmpq
