// Rows that are read strip by strip, ahead of their use. Used where weights are loaded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <future>
#include <utility>
#include <vector>

namespace llmpq {

inline constexpr int kStripsAhead = 8;  ///< that are being read while one is used

/// Rows of a strip of about `bytes` with rows of `row_bytes`: whole tiles of 16 where it has so
/// many, since these are packed faster.
constexpr int64_t strip_rows(int64_t bytes, int64_t row_bytes) {
  const int64_t rows = bytes / row_bytes;
  return rows >= 16 ? rows / 16 * 16 : std::max<int64_t>(rows, 1);
}

/// use(begin, rows, strip) for each strip of `most` rows, in order; the next strips are read
/// meanwhile by read(begin, rows, strip), where strip is a std::vector<T>, by a thread each. Throws
/// what they throw.
template <typename T, typename Read, typename Use>
void for_each_strip(int64_t rows, int64_t most, Read read, Use use) {
  const auto rows_at = [&](int64_t begin) { return std::min(most, rows - begin); };
  const auto read_at = [&](int64_t begin, std::vector<T> strip) {
    read(begin, rows_at(begin), strip);
    return strip;
  };
  std::deque<std::future<std::vector<T>>> reading;
  int64_t next = 0;
  const auto read_next = [&](std::vector<T> strip) {
    if (next >= rows) return;
    reading.push_back(std::async(std::launch::async, read_at, next, std::move(strip)));
    next += most;
  };
  for (int i = 0; i < kStripsAhead; ++i) read_next({});
  for (int64_t begin = 0; begin < rows; begin += most) {
    std::vector<T> strip = reading.front().get();
    reading.pop_front();
    use(begin, rows_at(begin), strip);
    read_next(std::move(strip));
  }
}

}  // namespace llmpq
