#include "plan/cost_floor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The least that a layer takes on the devices of a kind.
struct LeastLayer {
  double prefill_s = kInfinity, decode_s = kInfinity;
  Limits use{kInfinity, kInfinity, kInfinity};

  void add(const Load& load) {
    prefill_s = std::min(prefill_s, load.prefill_s);
    decode_s = std::min(decode_s, load.decode_s);
    for (size_t k = 0; k < kLimits; ++k) use[k] = std::min(use[k], load.use[k]);
  }
};

LeastLayer least_of_class(const BatchingCosts& costs, size_t kind, size_t c) {
  LeastLayer least;
  for (const uint8_t f : costs.formats[kind][c]) least.add(costs.layer[kind][c][f]);
  return least;
}

/// How many layers all devices hold where x_k is at most `most`.
double layers_held(const Problem& problem, const BatchingCosts& costs,
                   const std::vector<LeastLayer>& least, size_t k, double most) {
  double layers = 0;
  for (const ProblemGroup& group : problem.groups) {
    const auto kind = static_cast<size_t>(group.kind);
    const double room = group.memory_bytes - costs.ends[kind][0].use[0];
    const Limits& use = least[kind].use;
    // One stage may hold the whole model and share bytes; its own memory is for the search.
    const double shared = std::min(0.0, costs.ends[kind][3].use[0] - costs.ends[kind][0].use[0]);
    if (room - shared < 0 || use[0] == kInfinity) continue;
    double most_layers = problem.layers;
    const auto limit = [&](double room_k, double use_k) {
      if (use_k > 0) most_layers = std::min(most_layers, std::floor(room_k / use_k * (1 + 1e-9)));
    };
    limit(room - shared, use[0]);
    limit(most, use[k + 1]);
    layers += most_layers * static_cast<double>(group.ranks.size());
  }
  return layers;
}

double least_busiest(const Problem& problem, const BatchingCosts& costs,
                     const std::vector<LeastLayer>& least, size_t k) {
  if (layers_held(problem, costs, least, k, kInfinity) < problem.layers) return kInfinity;
  double low = 0, high = 0;
  for (const LeastLayer& layer : least)
    if (layer.use[k + 1] < kInfinity) high = std::max(high, layer.use[k + 1] * problem.layers);
  for (int i = 0; i < 40 && high > 0; ++i) {
    const double middle = (low + high) / 2;
    (layers_held(problem, costs, least, k, middle) < problem.layers ? low : high) = middle;
  }
  return low;
}

}  // namespace

double CostFloor::sums(const Problem& problem, const BatchingCosts& costs) const {
  return costs.sum_prefill * prefill_sum + costs.sum_decode * decode_sum + problem.theta * omega;
}

double CostFloor::objective(const Problem& problem, const BatchingCosts& costs,
                            const std::array<double, 2>& low) const {
  const double queue = costs.queue_decode >= 0
                           ? costs.queue_prefill * prefill_sum + costs.queue_decode * decode_sum
                           : 0;
  return sums(problem, costs) + costs.busiest[0] * low[0] + costs.busiest[1] * low[1] +
         std::max(costs.round_busiest * low[1], queue);
}

CostFloor cost_floor(const Problem& problem, const BatchingCosts& costs) {
  CostFloor floor;
  std::vector<LeastLayer> of_kind(problem.kinds.size());  // of any class
  std::vector<LeastLayer> of_class(static_cast<size_t>(problem.classes()));
  double first_prefill = kInfinity, first_decode = kInfinity;
  double last_prefill = kInfinity, last_decode = kInfinity;
  for (size_t kind = 0; kind < of_kind.size(); ++kind) {
    for (size_t c = 0; c < of_class.size(); ++c) {
      const LeastLayer least = least_of_class(costs, kind, c);
      const Load load{least.prefill_s, least.decode_s, least.use};
      of_kind[kind].add(load);
      of_class[c].add(load);
    }
    first_prefill = std::min(first_prefill, costs.ends[kind][kFirst].prefill_s);
    first_decode = std::min(first_decode, costs.ends[kind][kFirst].decode_s);
    last_prefill = std::min(last_prefill, costs.ends[kind][kLast].prefill_s);
    last_decode = std::min(last_decode, costs.ends[kind][kLast].decode_s);
  }
  floor.prefill_sum = first_prefill + last_prefill;
  floor.decode_sum = first_decode + last_decode;
  for (int layer = 0; layer < problem.layers; ++layer) {
    const LeastLayer& least = of_class[static_cast<size_t>(problem.class_of(layer))];
    floor.prefill_sum += least.prefill_s;
    floor.decode_sum += least.decode_s;
    const auto& omega = problem.omega[static_cast<size_t>(layer)];
    floor.omega += *std::min_element(omega.begin(), omega.end());
  }
  for (size_t k = 0; k < 2; ++k) floor.x[k] = least_busiest(problem, costs, of_kind, k);
  return floor;
}

std::vector<BatchingFloor> batchings_by_floor(const Problem& problem) {
  std::vector<BatchingFloor> floors;
  for (size_t i = 0; i < problem.batchings.size(); ++i) {
    const bool with_omega = problem.theta > 0 || problem.max_omega;
    const BatchingCosts costs = batching_costs(problem, problem.batchings[i], with_omega);
    const CostFloor floor = cost_floor(problem, costs);
    if (std::max(floor.x[0], floor.x[1]) < kInfinity)
      floors.push_back({floor.objective(problem, costs, floor.x), static_cast<int>(i)});
  }
  std::sort(floors.begin(), floors.end(), [](const BatchingFloor& a, const BatchingFloor& b) {
    return a.objective < b.objective;
  });
  return floors;
}

}  // namespace llmpq
