#include "plan/box.hpp"

#include <algorithm>
#include <cmath>

#include "plan/beam.hpp"
#include "plan/path_enumeration.hpp"

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-12;
constexpr int kRefinements = 40;  // rounds of solving the stages of the cheapest path
constexpr int kPriceSteps = 40;   // of the subgradient for device prices
constexpr double kCoarse = 0.2;   // share of what is left to the target
constexpr double kFine = 0.1;     // of that, where devices are priced

/// Whether the devices can hold all layers by their numbers alone: what the prices do not see.
bool can_hold_all(const Problem& problem, const StageBounds& bounds) {
  int64_t layers = 0;
  int first_less = problem.layers, last_less = problem.layers;  // for the ends of the model
  for (int g = 0; g < static_cast<int>(problem.groups.size()); ++g) {
    const int most = bounds.most_layers(g);
    layers += static_cast<int64_t>(problem.groups[static_cast<size_t>(g)].ranks.size()) * most;
    if (bounds.furthest(g, 0) == problem.layers) return true;  // one stage is enough
    if (bounds.furthest(g, 0) > 0) first_less = std::min(first_less, most - bounds.furthest(g, 0));
    if (const int last = bounds.most_last_layers(g); last > 0)
      last_less = std::min(last_less, most - last);
  }
  return layers - first_less - last_less >= problem.layers;
}

}  // namespace

BoxSolver::BoxSolver(const Problem& problem, const DeviceGraph& graph, Incumbent& incumbent)
    : problem_(problem),
      graph_(graph),
      incumbent_(incumbent),
      with_omega_(problem.theta > 0 || problem.max_omega),
      states_(problem.batchings.size()),
      pools_(problem.groups.size()),
      bounds_(problem, pools_),
      path_(problem, graph) {
  if (!graph.counts && GroupShares::suits(problem)) shares_.emplace(problem);
}

BatchingState& BoxSolver::state(int batching) {
  auto& state = states_[static_cast<size_t>(batching)];
  if (!state) {
    state = std::make_unique<BatchingState>();
    state->costs =
        batching_costs(problem_, problem_.batchings[static_cast<size_t>(batching)], with_omega_);
    state->floor = cost_floor(problem_, state->costs);
  }
  return *state;
}

Box BoxSolver::rough_box(int batching) {
  const BatchingState& at = state(batching);
  Box box;
  box.batching = batching;
  box.low = at.floor.x;
  const bool holds_all = std::max(box.low[0], box.low[1]) < kInfinity;
  box.bound = holds_all ? at.floor.objective(problem_, at.costs, box.low) : kInfinity;
  box.line_bound = at.floor.sums(problem_, at.costs) + at.costs.busiest[0] * box.low[0] +
                   (at.costs.busiest[1] + at.costs.round_busiest) * box.low[1];
  return box;
}

std::array<double, 2> BoxSolver::weights(const Box& box) {
  const BatchingCosts& costs = state(box.batching).costs;
  return {costs.busiest[0], costs.busiest[1] + box.multipliers.share * costs.round_busiest};
}

std::array<double, 2> BoxSolver::full_weights(const Box& box) {
  const BatchingCosts& costs = state(box.batching).costs;
  return {costs.busiest[0], costs.busiest[1] + costs.round_busiest};
}

std::array<double, 2> BoxSolver::slacks(const Box& box, const PathResult& path) {
  if (!path.is_plan) return {};
  const BatchingCosts& costs = state(box.batching).costs;
  std::array<double, 2> slack{};
  const auto is_above = [&](size_t k) { return path.x[k] > box.low[k] * (1 + 1e-10); };
  for (size_t k = 0; k < 2; ++k)
    if (is_above(k)) slack[k] = costs.busiest[k] * (path.x[k] - box.low[k]);
  // The bound has a mean of the queues for the longer one; if that is the busiest stage's, its
  // lower end is to blame.
  const double share = box.multipliers.share, queued = queue(box, path);
  const double longest = costs.round_busiest * path.x[1];
  if (longest >= queued && is_above(1))
    slack[1] += longest - share * costs.round_busiest * box.low[1] - (1 - share) * queued;
  return slack;
}

void BoxSolver::narrow(Box& box) {
  const double target = incumbent_.target();
  if (target == kInfinity) return;
  const std::array<double, 2> weight = weights(box);
  const std::array<double, 2> bound{box.bound, box.line_bound};  // x_0 stands alone in all bounds
  for (size_t k = 0; k < 2; ++k)
    if (weight[k] > 0)
      box.high[k] = std::min(box.high[k], box.low[k] + (target - bound[k]) / weight[k]);
  // With the whole share on the busiest stage, the sums have their floor only.
  const BatchingState& at = state(box.batching);
  const double rest = at.floor.sums(problem_, at.costs) + at.costs.busiest[0] * box.low[0];
  const double all = at.costs.busiest[1] + at.costs.round_busiest;
  if (all > 0) box.high[1] = std::min(box.high[1], (target - rest) / all);
}

double BoxSolver::constant(const Box& box, const Multipliers& multipliers) {
  const BatchingCosts& costs = state(box.batching).costs;
  return costs.busiest[0] * box.low[0] +
         (costs.busiest[1] + multipliers.share * costs.round_busiest) * box.low[1] -
         (multipliers.omega > 0 ? multipliers.omega * *problem_.max_omega : 0);
}

double BoxSolver::queue(const Box& box, const PathResult& result) {
  const BatchingCosts& costs = state(box.batching).costs;
  return costs.queue_prefill * result.prefill_sum + costs.queue_decode * result.decode_sum;
}

/// What is not worth more work at this bound: a fraction of what is left to the target, or of the
/// gap where that is more. Coarse while the box is far from being closed.
double BoxSolver::enough(double bound) const {
  if (!incumbent_.found()) return kCoarse * 0.05 * std::abs(bound);
  return std::max(0.1 * (incumbent_.objective() - incumbent_.target()),
                  kCoarse * (incumbent_.target() - bound));
}

PathResult BoxSolver::solve_at(Box& box, const Multipliers& multipliers) {
  const Prices prices =
      state(box.batching).costs.prices(multipliers.share, problem_.theta + multipliers.omega);
  PathResult result =
      cheapest_path(box, prices, {constant(box, multipliers), incumbent_.target(), false});
  result.multipliers = multipliers;
  return result;
}

/// Solves the stages of the cheapest path until that path's bounds are what its stages cost, or
/// until the box is not worth more work.
PathResult BoxSolver::cheapest_path(Box& box, const Prices& prices, const Effort& effort) {
  PathResult result;
  result.bound = -kInfinity;
  for (int i = 0; i < kRefinements; ++i) {
    bounds_.fill(state(box.batching), box.high, prices);
    const double cost = shares_            ? shares_->solve(bounds_)
                        : prices_devices() ? price_devices(box, effort.worth - effort.constant)
                                           : path_.solve(bounds_, {});
    result.bound = std::max(result.bound, effort.constant + cost);
    result.is_plan = false;
    if (!(result.bound < effort.worth)) break;
    const double raised =
        solve_stages(box, shares_ ? shares_->stages() : path_.stages(bounds_), result);
    if (raised <= kRounding * std::abs(cost)) break;
    if (effort.for_omega ? result.is_plan && result.omega <= *problem_.max_omega
                         : raised <= (prices_devices() ? kFine : 1) * enough(result.bound))
      break;
  }
  return result;
}

/// By how much the stages of the path cost more than their bounds said.
double BoxSolver::solve_stages(const Box& box, const std::vector<PathStage>& path,
                               PathResult& result) {
  std::vector<StageChoice> choices;
  double sum = 0;
  bool complete = !path.empty();
  for (const PathStage& stage : path) {
    const double before = bounds_.at(stage.arc.group, stage.begin, stage.end);
    choices.push_back(bounds_.solve(stage.arc.group, stage.begin, stage.end));
    complete = complete && choices.back().feasible;
    if (choices.back().exact) sum += bounds_.at(stage.arc.group, stage.begin, stage.end) - before;
  }
  if (complete) {
    std::vector<BuiltStage> stages;
    for (size_t i = 0; i < path.size(); ++i)
      stages.push_back({path[i].arc, path[i].begin, path[i].end, &choices[i]});
    incumbent_.offer(box.batching, stages);
    measure(box, stages, result);
  }
  result.is_plan = complete;
  return sum;
}

void BoxSolver::measure(const Box& box, const std::vector<BuiltStage>& stages, PathResult& result) {
  result.prefill_sum = result.decode_sum = result.omega = 0;
  result.x = {};
  const auto add = [&](const Load& load, bool in_sum) {
    if (in_sum) {
      result.prefill_sum += load.prefill_s;
      result.decode_sum += load.decode_s;
    }
    for (size_t k = 0; k < 2; ++k) result.x[k] = std::max(result.x[k], load.use[k + 1]);
  };
  for (const BuiltStage& stage : stages) {
    add(stage.choice->load, true);
    result.omega += stage.choice->omega;
    if (stage.arc.previous_group < 0) continue;
    const auto& from =
        state(box.batching).costs.link[static_cast<size_t>(stage.arc.previous_group)];
    add(from[static_cast<size_t>(stage.arc.group)], problem_.links.in_sum);
  }
}

/// The cheapest path where devices are priced instead of counted: a few steps of a subgradient,
/// then the beam search for a plan that keeps the counts.
double BoxSolver::price_devices(Box& box, double worth) {
  if (!can_hold_all(problem_, bounds_)) return kInfinity;
  std::vector<double>& prices = box.device_prices;
  prices.resize(problem_.groups.size());
  std::vector<double> best_prices = prices;
  double best = -kInfinity, step = 1;
  int failed = 0;
  const auto value = [&] {
    double cost = path_.solve(bounds_, prices);
    for (size_t g = 0; g < prices.size(); ++g)
      cost -= prices[g] * static_cast<double>(problem_.groups[g].ranks.size());
    return cost;
  };
  for (int i = 0; i < kPriceSteps << box.effort; ++i) {
    const double cost = value();
    if (cost > best) {
      best = cost;
      best_prices = prices;
      failed = 0;
    } else if (++failed % 2 == 0) {
      step /= 2;
    }
    if (!(cost < worth)) break;
    std::vector<double> excess(prices.size());
    for (const PathStage& stage : path_.stages(bounds_))
      excess[static_cast<size_t>(stage.arc.group)] += 1;
    double length = 0;
    for (size_t g = 0; g < prices.size(); ++g) {
      excess[g] -= static_cast<double>(problem_.groups[g].ranks.size());
      if (prices[g] == 0 && excess[g] < 0) excess[g] = 0;
      length += excess[g] * excess[g];
    }
    if (length == 0) break;
    const double wanted = worth < kInfinity ? worth - cost : std::abs(cost) * 0.05;
    for (size_t g = 0; g < prices.size(); ++g)
      prices[g] = std::max(0.0, prices[g] + step * wanted * excess[g] / length);
  }
  prices = best_prices;
  value();
  return best;
}

PathResult BoxSolver::solve(Box& box, int steps) {
  PathResult best = solve_at(box, box.multipliers);
  PathResult guide = best;
  if (best.bound < incumbent_.target() && prices_devices())
    climb_multipliers(box, best, steps);
  else if (best.bound < incumbent_.target() && best.is_plan)
    guide = fit_multipliers(box, best, steps);
  if (best.bound < incumbent_.target() && prices_devices())  // the path may use too many devices
    search_beam(problem_, graph_, bounds_, path_, box, incumbent_);
  const bool same = best.multipliers == box.multipliers;
  box.line_bound = same ? std::max(box.line_bound, best.bound) : best.bound;
  box.bound = std::max(box.bound, best.bound);
  box.multipliers = best.multipliers;
  box.is_rough = false;
  return guide;
}

/// [node][layers placed]: the omega that the layers to come have at the least within the box.
std::vector<double> BoxSolver::least_omega_to_go(Box& box) {
  if (!problem_.max_omega) return {};
  cheapest_path(box, {0, 0, 1}, {0, kInfinity, true});  // learns the prices that matter
  bounds_.fill(state(box.batching), box.high, {0, 0, 1});
  path_.solve_backward(bounds_);
  return path_.all_to_go();
}

bool BoxSolver::enumerate(Box& box, int64_t budget, const std::function<bool()>& is_late) {
  BatchingState& at = state(box.batching);
  const auto least_omega = least_omega_to_go(box);
  bounds_.fill(at, box.high,
               at.costs.prices(box.multipliers.share, problem_.theta + box.multipliers.omega));
  if (path_.solve(bounds_, box.device_prices) == kInfinity) return true;
  path_.solve_backward(bounds_);
  return enumerate_paths({problem_, graph_, bounds_, path_, pools_, box,
                          constant(box, box.multipliers), weights(box), least_omega},
                         incumbent_, budget, is_late);
}

}  // namespace llmpq
