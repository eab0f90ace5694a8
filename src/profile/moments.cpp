#include "profile/moments.hpp"

namespace llmpq {

void Moments::merge(const Moments& other) {
  if (other.count == 0) return;
  const auto mine = static_cast<double>(count), theirs = static_cast<double>(other.count);
  const double all = mine + theirs, difference = other.mean - mean;
  mean += difference * (theirs / all);
  squared += other.squared + difference * difference * (mine * theirs / all);
  count += other.count;
}

void ChannelMoments::add_rows(const float* x, int64_t rows) {
  const size_t width = mean_.size();
  for (int64_t row = 0; row < rows; ++row, x += width) {
    const double share = 1 / static_cast<double>(++rows_);
    for (size_t i = 0; i < width; ++i) {
      const double before = double{x[i]} - mean_[i];
      mean_[i] += before * share;
      squared_[i] += before * (double{x[i]} - mean_[i]);
    }
  }
}

Moments ChannelMoments::pooled() const {
  Moments all;
  for (int64_t i = 0; i < width(); ++i) all.merge(channel(i));
  return all;
}

}  // namespace llmpq
