#include "plan/limit_prices.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kRounds = 3, kTangents = 24, kDoublings = 60;
constexpr double kClose = 1e-6;  // relative: closer than this is not worth a step

/// The bound as a function of one price: its value and slope there.
struct Tangent {
  double at = 0, value = 0, slope = 0;
};

class Ascent {
 public:
  Ascent(std::span<const StageItem> items, const Limits& room, const Limits& start)
      : items_(items), room_(room), prices_(start) {
    for (size_t k = 0; k < kLimits; ++k)
      if (std::isinf(room[k])) prices_[k] = 0;
  }

  StageBound raise() {
    double value = tangent(0).value;
    for (int round = 0; round < kRounds; ++round) {
      const double before = value;
      for (size_t k = 0; k < kLimits; ++k) {
        if (std::isinf(room_[k])) continue;
        value = raise(k);
        if (value == kInfinity) return {value, prices_};
      }
      if (value - before <= kClose * std::abs(value)) break;
    }
    return {value, prices_};
  }

 private:
  Tangent tangent(size_t k) const {
    Tangent result{prices_[k], 0, 0};
    for (const StageItem& item : items_) {
      double least = kInfinity, use = 0;
      for (size_t i = 0; i < item.cost.size(); ++i) {
        double cost = item.cost[i];
        for (size_t j = 0; j < kLimits; ++j) cost += prices_[j] * item.use[i][j];
        if (cost > least || (cost == least && item.use[i][k] >= use)) continue;
        least = cost;
        use = item.use[i][k];
      }
      result.value += item.count * least;
      result.slope += item.count * use;
    }
    for (size_t j = 0; j < kLimits; ++j)
      if (prices_[j] > 0) result.value -= prices_[j] * room_[j];
    result.slope -= room_[k];
    return result;
  }
  Tangent move(size_t k, double price) {
    prices_[k] = price;
    return tangent(k);
  }

  /// A price that is of the order of cost / use, to begin with.
  double scale(size_t k) const {
    double cost = 0, use = 0;
    for (const StageItem& item : items_) {
      const auto [least, most] = std::minmax_element(item.cost.begin(), item.cost.end());
      cost += item.count * (*most - *least);
      use += item.count * item.use[0][k];
    }
    return cost > 0 && use > 0 ? cost / use : 1e-12;
  }

  double raise(size_t k) {
    Tangent low = tangent(k), high = low;
    if (low.slope <= 0) {  // too dear
      if (low.at == 0) return low.value;
      low = move(k, 0);
      if (low.slope <= 0) return low.value;
    } else {
      double next = low.at > 0 ? 2 * low.at : scale(k);
      high = move(k, next);
      for (int i = 0; high.slope > 0 && i < kDoublings; ++i) {
        low = high;
        high = move(k, next *= 4);
      }
      if (high.slope > 0) return least_use(k) > room_[k] ? kInfinity : high.value;
    }
    return climb(k, low, high);
  }

  double climb(size_t k, Tangent low, Tangent high) {
    for (int i = 0; i < kTangents; ++i) {
      const double width = high.at - low.at;
      const double at = (high.value - low.value + low.slope * low.at - high.slope * high.at) /
                        (low.slope - high.slope);
      const double promised = low.value + low.slope * (at - low.at);
      if (!(at > low.at && at < high.at) || width <= 0) break;
      const Tangent middle = move(k, at);
      if (promised - middle.value <= kClose * std::abs(promised)) return middle.value;
      (middle.slope > 0 ? low : high) = middle;
    }
    return move(k, (low.value > high.value ? low : high).at).value;
  }

  double least_use(size_t k) const {
    double sum = 0;
    for (const StageItem& item : items_) {
      double least = kInfinity;
      for (const Limits& use : item.use) least = std::min(least, use[k]);
      sum += item.count * least;
    }
    return sum;
  }

  std::span<const StageItem> items_;
  const Limits& room_;
  Limits prices_;
};

}  // namespace

double bound_at(std::span<const StageItem> items, const Limits& room, const Limits& prices) {
  double value = 0;
  for (const StageItem& item : items) {
    double least = kInfinity;
    for (size_t i = 0; i < item.cost.size(); ++i) {
      double cost = item.cost[i];
      for (size_t k = 0; k < kLimits; ++k) cost += prices[k] * item.use[i][k];
      least = std::min(least, cost);
    }
    value += item.count * least;
  }
  for (size_t k = 0; k < kLimits; ++k)
    if (prices[k] > 0) value -= prices[k] * room[k];
  return value;
}

StageBound raise_bound(std::span<const StageItem> items, const Limits& room, const Limits& start) {
  return Ascent(items, room, start).raise();
}

}  // namespace llmpq
