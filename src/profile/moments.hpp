// Count, mean and sum of squared deviations of numbers that come in any order and any number:
// nothing is kept but these three, and nothing cancels. Used by input_statistics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace llmpq {

struct Moments {
  int64_t count = 0;
  double mean = 0;
  double squared = 0;  ///< sum over the numbers of (x - mean)^2

  double variance() const { return count > 0 ? squared / static_cast<double>(count) : 0; }
  /// Mean of x^2.
  double mean_square() const { return variance() + mean * mean; }
  /// As if the other's numbers had come too: Chan, Golub and LeVeque, "Updating formulae and a
  /// pairwise algorithm for computing sample variances", 1979.
  void merge(const Moments& other);
};

/// The moments of each column of rows that come a few at a time. A row is added after the other
/// (Welford's update, which is Chan's for one number), so the result is the same bits however the
/// rows were cut.
class ChannelMoments {
 public:
  explicit ChannelMoments(int64_t width = 0)
      : mean_(static_cast<size_t>(width)), squared_(static_cast<size_t>(width)) {}

  int64_t rows() const { return rows_; }
  int64_t width() const { return static_cast<int64_t>(mean_.size()); }
  /// `x`: [rows, width].
  void add_rows(const float* x, int64_t rows);
  Moments channel(int64_t index) const {
    const auto i = static_cast<size_t>(index);
    return {rows_, mean_[i], squared_[i]};
  }
  /// Of all numbers together, whichever their column.
  Moments pooled() const;

 private:
  int64_t rows_ = 0;
  std::vector<double> mean_, squared_;
};

}  // namespace llmpq
