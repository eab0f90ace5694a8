#include "kernels/cpu/select.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "kernels/cpu/softmax.hpp"

namespace llmpq {
namespace {

/// All indices, largest value first, ties by index: the order that defines the answer.
std::vector<int32_t> sorted(const std::vector<float>& values) {
  std::vector<int32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
  });
  return order;
}

/// Rows with few and with many ties, both signs, infinities.
std::vector<std::vector<float>> rows() {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 3);
  std::vector<std::vector<float>> rows{{0.0f, -0.0f, 0.0f}, {1.0f}, {-1, -1, -1, -1}};
  for (size_t count : {2, 17, 1000, 4099}) {
    std::vector<float> fine(count), coarse(count), holes(count);
    for (size_t i = 0; i < count; ++i) {
      fine[i] = normal(random);
      coarse[i] = std::round(normal(random));
      holes[i] = i % 3 ? -INFINITY : fine[i];
    }
    rows.insert(rows.end(), {fine, coarse, holes});
  }
  return rows;
}

TEST(Select, LargestAreTheFirstOfTheSortedOrder) {
  for (const auto& values : rows())
    for (int64_t count : {1, 2, 5, 500, 4098, 5000}) {
      std::vector<int32_t> want = sorted(values);
      want.resize(std::min(want.size(), static_cast<size_t>(count)));
      ASSERT_EQ(largest(values, count), want) << count << " of " << values.size();
    }
}

TEST(Select, CutByMassKeepsTheShortestPrefixThatReachesIt) {
  for (auto values : rows()) {
    to_weights(values, *std::max_element(values.begin(), values.end()), 2.0f);
    const uint64_t total = total_mass(values);
    for (double share : {1e-9, 0.1, 0.5, 0.9, 0.999, 1.0}) {
      const auto wanted = std::max(uint64_t{1}, static_cast<uint64_t>(share * double(total)));
      std::vector<float> want(values.size(), -1.0f);
      uint64_t sum = 0;
      for (int32_t id : sorted(values)) {
        if (sum >= wanted) break;
        const auto i = static_cast<size_t>(id);
        want[i] = values[i];
        sum += mass(values[i]);
      }
      std::vector<float> kept = values;
      apply(cut_by_mass(values, wanted), kept, -1.0f);
      ASSERT_EQ(kept, want) << share << " of " << values.size();
    }
    std::vector<float> kept = values;
    apply(cut_by_mass(values, total + 1), kept, -1.0f);
    EXPECT_EQ(kept, values);
  }
}

}  // namespace
}  // namespace llmpq
