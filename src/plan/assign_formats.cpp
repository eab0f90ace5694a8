#include "plan/assign_formats.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The formats as nodes; an edge f -> g moves the layer of f for which that is cheapest.
class Exchange {
 public:
  Exchange(const Problem& problem, std::span<const int> layers, std::span<const int> counts,
           std::span<const uint8_t> usable)
      : problem_(problem),
        layers_(layers),
        usable_(usable),
        surplus_(problem.formats.size()),
        cost_(problem.formats.size() * problem.formats.size()),
        layer_(cost_.size()),
        distance_(problem.formats.size()),
        before_(problem.formats.size()) {
    for (const uint8_t f : usable) surplus_[f] = -counts[f];
  }

  FormatAssignment solve(std::span<const double> start) {
    result_.format.resize(layers_.size());
    for (size_t i = 0; i < layers_.size(); ++i) {
      uint8_t best = usable_[0];
      for (const uint8_t f : usable_)
        if (omega(i, f) - start[f] < omega(i, best) - start[best]) best = f;
      result_.format[i] = best;
      ++surplus_[best];
    }
    measure_edges();
    for (int to = cheapest_way(); to >= 0; to = cheapest_way()) {
      move_along(static_cast<uint8_t>(to));
      measure_edges();
    }
    set_prices();
    for (size_t i = 0; i < layers_.size(); ++i) result_.omega += omega(i, result_.format[i]);
    return std::move(result_);
  }

 private:
  double omega(size_t i, uint8_t f) const {
    return problem_.omega[static_cast<size_t>(layers_[i])][f];
  }
  size_t edge(uint8_t from, uint8_t to) const { return from * problem_.formats.size() + to; }

  void measure_edges() {
    std::fill(cost_.begin(), cost_.end(), kInfinity);
    for (size_t i = 0; i < layers_.size(); ++i) {
      const uint8_t from = result_.format[i];
      for (const uint8_t to : usable_) {
        const double cost = omega(i, to) - omega(i, from);
        if (to == from || cost >= cost_[edge(from, to)]) continue;
        cost_[edge(from, to)] = cost;
        layer_[edge(from, to)] = i;
      }
    }
  }

  /// Bellman-Ford: there are no negative cycles, because every assignment on the way is the best
  /// one for its own counts. The margin keeps rounding from making one.
  void relax() {
    for (size_t round = 0; round < usable_.size(); ++round) {
      bool changed = false;
      for (const uint8_t from : usable_)
        for (const uint8_t to : usable_) {
          const double distance = distance_[from] + cost_[edge(from, to)];
          if (!(distance < distance_[to] - 1e-14 * (1 + std::abs(distance)))) continue;
          distance_[to] = distance;
          before_[to] = from;
          changed = true;
        }
      if (!changed) return;
    }
  }

  /// The format that lacks layers and is cheapest to reach from one that has too many; -1: none.
  int cheapest_way() {
    for (const uint8_t f : usable_) {
      distance_[f] = surplus_[f] > 0 ? 0 : kInfinity;
      before_[f] = f;
    }
    relax();
    int best = -1;
    for (const uint8_t f : usable_)
      if (surplus_[f] < 0 && distance_[f] < kInfinity &&
          (best < 0 || distance_[f] < distance_[static_cast<size_t>(best)]))
        best = f;
    return best;
  }

  void move_along(uint8_t to) {
    ++surplus_[to];
    for (size_t steps = 0; before_[to] != to && steps < usable_.size(); ++steps) {
      const uint8_t from = before_[to];
      result_.format[layer_[edge(from, to)]] = to;
      to = from;
    }
    --surplus_[to];
  }

  /// Distances from anywhere: omega_f - price_f <= omega_g - price_g for a layer of f. A format
  /// that no layer has gets the highest price that keeps this true: the strongest bound elsewhere.
  void set_prices() {
    std::vector<bool> used(problem_.formats.size());
    for (const uint8_t f : result_.format) used[f] = true;
    for (const uint8_t f : usable_) distance_[f] = used[f] ? 0 : kInfinity;
    relax();
    result_.price.assign(problem_.formats.size(), 0);
    for (const uint8_t f : usable_) result_.price[f] = distance_[f] < kInfinity ? distance_[f] : 0;
  }

  const Problem& problem_;
  std::span<const int> layers_;
  std::span<const uint8_t> usable_;
  std::vector<int> surplus_;   ///< [format] layers too many
  std::vector<double> cost_;   ///< [from][to]
  std::vector<size_t> layer_;  ///< [from][to]
  std::vector<double> distance_;
  std::vector<uint8_t> before_;
  FormatAssignment result_;
};

bool are_alike(const Problem& problem, std::span<const int> layers) {
  const auto& first = problem.omega[static_cast<size_t>(layers[0])];
  return std::ranges::all_of(
      layers, [&](int layer) { return problem.omega[static_cast<size_t>(layer)] == first; });
}

/// Layers of the same omega (bits): any order will do, and the omega itself is the price.
FormatAssignment assign_alike(const std::vector<double>& omega, std::span<const int> counts,
                              std::span<const uint8_t> usable) {
  FormatAssignment result;
  result.price = omega;
  for (const uint8_t f : usable) {
    result.format.insert(result.format.end(), static_cast<size_t>(counts[f]), f);
    result.omega += counts[f] * omega[f];
  }
  return result;
}

}  // namespace

FormatAssignment assign_formats(const Problem& problem, std::span<const int> layers,
                                std::span<const int> counts, std::span<const uint8_t> usable,
                                std::span<const double> start) {
  if (are_alike(problem, layers))
    return assign_alike(problem.omega[static_cast<size_t>(layers[0])], counts, usable);
  return Exchange(problem, layers, counts, usable).solve(start);
}

}  // namespace llmpq
