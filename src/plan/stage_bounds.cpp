#include "plan/stage_bounds.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "plan/limit_prices.hpp"

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr size_t kMostPrices = 8;  // price vectors of a group and batching
constexpr int kMostShort = 6;      // layers of stages that are tried out, where devices are many
constexpr size_t kMostKnown = 4;   // solutions of one stage within different limits

uint64_t key_of(int group, int begin, int end) {
  return (static_cast<uint64_t>(group) << 32) | (static_cast<uint64_t>(begin) << 16) |
         static_cast<uint64_t>(end);
}

}  // namespace

StageBounds::StageBounds(const Problem& problem, std::vector<OmegaPrices>& pools)
    : problem_(problem),
      pools_(pools),
      layers_(problem.layers),
      alike_(problem.layers_are_alike()) {
  const auto lines = problem.groups.size() * static_cast<size_t>(layers_);
  bounds_.resize(lines * static_cast<size_t>(layers_ + 1));
  furthest_.resize(lines);
  size_t devices = 0;
  for (const ProblemGroup& group : problem.groups) devices += group.ranks.size();
  if (devices * kMostShort > lines / problem.groups.size()) short_ = kMostShort;
}

size_t StageBounds::kind_of(int group) const {
  return static_cast<size_t>(problem_.groups[static_cast<size_t>(group)].kind);
}

StageTask StageBounds::task(int group, int begin, int end) const {
  const double memory = problem_.groups[static_cast<size_t>(group)].memory_bytes;
  return {group, begin, end, {memory, most_[0], most_[1]}, prices_};
}

Limits StageBounds::room(int group, size_t ends) const {
  Limits room = task(group, 0, 0).limits;
  const Load& load = state_->costs.ends[kind_of(group)][ends];
  for (size_t k = 0; k < kLimits; ++k) room[k] -= load.use[k];
  return room;
}

void StageBounds::fill(BatchingState& state, const std::array<double, 2>& most,
                       const Prices& prices) {
  state_ = &state;
  most_ = most;
  prices_ = prices;
  state.limit_prices.resize(problem_.groups.size());
  std::fill(bounds_.begin(), bounds_.end(), kInfinity);
  for (int group = 0; group < static_cast<int>(problem_.groups.size()); ++group) {
    for (int begin = 0; begin < layers_; ++begin) furthest_[line(group, begin)] = begin;
    if (problem_.classes() == 1 && prices.omega == 0)
      fill_by_count(group);
    else
      fill_by_prices(group);
  }
  use_known();
}

/// Layers that are all alike and have no omega: the exact cost depends on their number alone.
void StageBounds::fill_by_count(int group) {
  FormatCounts counts(state_->costs, static_cast<int>(kind_of(group)), problem_.formats.size());
  make_options(group);
  if (cost_[0].empty()) return;  // no kernel at all
  std::array<std::vector<double>, 4> cost;
  std::vector<int> best;
  for (size_t ends = 0; ends < cost.size(); ++ends) {
    cost[ends].assign(static_cast<size_t>(layers_ + 1), kInfinity);
    const Limits left = room(group, ends);
    if (left[0] < 0 || left[1] < 0 || left[2] < 0) continue;
    const double ends_cost = prices_.of(state_->costs.ends[kind_of(group)][ends]);
    Limits limit_prices{};
    for (int n = ends == (kFirst | kLast) ? layers_ : 1; n <= layers_; ++n) {
      const StageItem item{n, cost_[0], use_[0]};
      const StageBound bound = raise_bound(std::span(&item, 1), left, limit_prices);
      if (bound.value == kInfinity) break;
      limit_prices = bound.prices;
      counts.set_prices(prices_, limit_prices);
      const double value = counts.cheapest({n}, left, best);
      if (value == kInfinity) break;
      cost[ends][static_cast<size_t>(n)] = ends_cost + value;
    }
  }
  for (int begin = 0; begin < layers_; ++begin)
    for (int end = begin + 1; end <= layers_; ++end) {
      const double value = cost[ends_of(problem_, begin, end)][static_cast<size_t>(end - begin)];
      bounds_[index(group, begin, end)] = value;
      if (value < kInfinity) furthest_[line(group, begin)] = end;
    }
}

void StageBounds::make_options(int group) {
  const BatchingCosts& costs = state_->costs;
  const size_t kind = kind_of(group);
  use_.assign(static_cast<size_t>(problem_.classes()), {});
  std::vector<std::vector<double>> base(use_.size());
  for (size_t c = 0; c < use_.size(); ++c)
    for (const uint8_t f : costs.formats[kind][c]) {
      use_[c].push_back(costs.layer[kind][c][f].use);
      base[c].push_back(prices_.of(costs.layer[kind][c][f]));
    }
  cost_.resize(static_cast<size_t>(layers_));
  for (int layer = 0; layer < layers_; ++layer) {
    const auto c = static_cast<size_t>(problem_.class_of(layer));
    auto& cost = cost_[static_cast<size_t>(layer)];
    cost = base[c];
    const auto& omega = problem_.omega[static_cast<size_t>(layer)];
    for (size_t i = 0; i < cost.size(); ++i)
      cost[i] += prices_.omega * omega[costs.formats[kind][c][i]];
  }
}

void StageBounds::sum_priced(const Limits& prices, std::vector<double>& sums) const {
  sums.assign(static_cast<size_t>(layers_ + 1), 0);
  std::vector<std::vector<double>> extra(use_.size());
  for (size_t c = 0; c < use_.size(); ++c)
    for (const Limits& use : use_[c])
      extra[c].push_back(prices[0] * use[0] + prices[1] * use[1] + prices[2] * use[2]);
  for (size_t layer = 0; layer < cost_.size(); ++layer) {
    const auto& more = extra[static_cast<size_t>(problem_.class_of(static_cast<int>(layer)))];
    double least = kInfinity;
    for (size_t i = 0; i < more.size(); ++i) least = std::min(least, cost_[layer][i] + more[i]);
    sums[layer + 1] = sums[layer] + (more.empty() ? 0 : least);
  }
}

void StageBounds::sum_least_use() {
  least_.assign(static_cast<size_t>(layers_ + 1), {});
  for (size_t layer = 0; layer < cost_.size(); ++layer) {
    const auto& uses = use_[static_cast<size_t>(problem_.class_of(static_cast<int>(layer)))];
    for (size_t k = 0; k < kLimits; ++k) {
      double least = kInfinity;
      for (const Limits& use : uses) least = std::min(least, use[k]);
      least_[layer + 1][k] = least_[layer][k] + (uses.empty() ? 0 : least);
    }
  }
}

void StageBounds::fill_by_prices(int group) {
  make_options(group);
  if (short_ > 0) sort_options();
  sum_least_use();
  auto& pool = state_->limit_prices[static_cast<size_t>(group)];
  if (pool.empty()) pool.push_back({});
  sums_.resize(pool.size());
  for (size_t v = 0; v < pool.size(); ++v) sum_priced(pool[v], sums_[v]);
  for (size_t ends = 0; ends < offset_.size(); ++ends) {
    const Limits left = room(group, ends);
    offset_[ends].assign(pool.size(), prices_.of(state_->costs.ends[kind_of(group)][ends]));
    for (size_t v = 0; v < pool.size(); ++v)
      for (size_t k = 0; k < kLimits; ++k)
        if (pool[v][k] > 0) offset_[ends][v] -= pool[v][k] * left[k];
  }
  if (alike_) return fill_alike(group);
  for (int begin = 0; begin < layers_; ++begin) fill_row(group, begin);
}

bool StageBounds::may_fit(int begin, int end, const Limits& left) const {
  const auto first = static_cast<size_t>(begin), last = static_cast<size_t>(end);
  for (size_t k = 0; k < kLimits; ++k)  // sums of differences: leave room for their rounding
    if (least_[last][k] - least_[first][k] > left[k] + 1e-12 * std::abs(least_[last][k]))
      return false;
  return true;
}

double StageBounds::priced_bound(int group, int begin, int end, const Limits& left) const {
  const auto first = static_cast<size_t>(begin), last = static_cast<size_t>(end);
  const size_t ends = ends_of(problem_, begin, end);
  double bound = -kInfinity;
  for (size_t v = 0; v < sums_.size(); ++v)
    bound = std::max(bound, sums_[v][last] - sums_[v][first] + offset_[ends][v]);
  if (end - begin > short_) return bound;
  return std::max(bound, cheapest_short(begin, end, left, kInfinity) +
                             prices_.of(state_->costs.ends[kind_of(group)][ends]));
}

/// Where the first of the stages begins that are like this one in all but their place.
int StageBounds::stand_in(int begin, int end) const {
  return alike_ && begin > 0 && end < layers_ ? 1 : begin;
}

void StageBounds::fill_alike(int group) {
  if (cost_[0].empty()) return;  // no kernel at all
  for (int begin = 0; begin < layers_; ++begin)
    for (int end = begin + 1; end <= layers_; ++end) {
      const int like = stand_in(begin, end);
      double& bound = bounds_[index(group, begin, end)];
      if (like < begin) {
        bound = bounds_[index(group, like, like + end - begin)];
      } else {
        const Limits left = room(group, ends_of(problem_, begin, end));
        if (may_fit(begin, end, left)) bound = priced_bound(group, begin, end, left);
      }
      if (bound < kInfinity) furthest_[line(group, begin)] = end;
    }
}

void StageBounds::fill_row(int group, int begin) {
  double* bounds = &bounds_[index(group, begin, 0)];
  for (int end = begin + 1; end <= layers_; ++end) {
    if (cost_[static_cast<size_t>(end - 1)].empty()) return;  // no kernel for this layer
    const Limits left = room(group, ends_of(problem_, begin, end));
    if (!may_fit(begin, end, left)) {
      if (begin > 0) return;  // more layers fit neither; the whole model may, by its shared bytes
      continue;
    }
    bounds[end] = priced_bound(group, begin, end, left);
    furthest_[line(group, begin)] = end;
  }
}

/// The least cost of a stage of a few layers, by trying the formats of each, cheap ones first; or
/// `most`, if that is less.
double StageBounds::cheapest_short(int begin, int end, const Limits& left, double most) const {
  if (begin == end) return std::min(0.0, most);
  const auto layer = static_cast<size_t>(begin);
  const auto& uses = use_[static_cast<size_t>(problem_.class_of(begin))];
  // Without any limits (the first prices are none): what may be cut off, with room for rounding.
  const double all = sums_[0][static_cast<size_t>(end)];
  const double later = all - sums_[0][layer + 1] - 1e-12 * std::abs(all);
  for (const uint8_t i : cheap_first_[layer]) {
    if (!(cost_[layer][i] + later < most)) break;
    Limits less = left;
    bool fits = true;
    for (size_t k = 0; k < kLimits; ++k) {
      less[k] -= uses[i][k];
      fits = fits && less[k] >= -1e-12 * std::abs(left[k]);
    }
    if (!fits) continue;
    const double cost = cost_[layer][i];
    most = std::min(most, cost + cheapest_short(begin + 1, end, less, most - cost));
  }
  return most;
}

/// The options of each layer by cost.
void StageBounds::sort_options() {
  cheap_first_.resize(cost_.size());
  for (size_t layer = 0; layer < cost_.size(); ++layer) {
    auto& order = cheap_first_[layer];
    order.resize(cost_[layer].size());
    std::iota(order.begin(), order.end(), uint8_t{0});
    std::sort(order.begin(), order.end(),
              [&](uint8_t a, uint8_t b) { return cost_[layer][a] < cost_[layer][b]; });
  }
}

const BatchingState::Known* StageBounds::find_known(int group, int begin, int end) const {
  const int like = stand_in(begin, end);
  const auto at = state_->known.find(key_of(group, like, like + end - begin));
  if (at == state_->known.end()) return nullptr;
  const Known* best = nullptr;
  for (const Known& known : at->second) {
    if (known.most[0] < most_[0] || known.most[1] < most_[1]) continue;
    if (known.choice.feasible && !(known.prices == prices_)) continue;
    if (!best || known.choice.cost > best->choice.cost) best = &known;
  }
  return best;
}

void StageBounds::use_known() {
  for (const auto& [key, list] : state_->known) {
    const int group = static_cast<int>(key >> 32), begin = static_cast<int>(key >> 16 & 0xffff);
    const int end = static_cast<int>(key & 0xffff);
    const Known* known = find_known(group, begin, end);
    if (!known || !known->choice.exact) continue;
    raise(group, begin, end, known->choice.cost);
  }
}

/// Raises the bound of a stage, and of those that are like it.
void StageBounds::raise(int group, int begin, int end, double cost) {
  const bool has_ends = begin == 0 || end == layers_;
  const int layers = end - begin, last = alike_ && !has_ends ? layers_ - 1 - layers : begin;
  for (int from = stand_in(begin, end); from <= last; ++from) {
    double& bound = bounds_[index(group, from, from + layers)];
    bound = std::max(bound, cost);
  }
}

bool StageBounds::is_exact(int group, int begin, int end) const {
  const Known* known = find_known(group, begin, end);
  return known && known->choice.feasible && known->choice.load.use[1] <= most_[0] &&
         known->choice.load.use[2] <= most_[1];
}

/// Prices that are best for this stage, for all the stages like it.
Limits StageBounds::learn_prices(int group, int begin, int end) {
  auto& pool = state_->limit_prices[static_cast<size_t>(group)];
  make_options(group);
  if (pool.empty()) pool.push_back({});
  std::vector<StageItem> items;
  for (int layer = begin; layer < end; ++layer)
    items.push_back({1, cost_[static_cast<size_t>(layer)],
                     use_[static_cast<size_t>(problem_.class_of(layer))]});
  const Limits left = room(group, ends_of(problem_, begin, end));
  const Limits* start = &pool[0];
  double most = -kInfinity;
  for (const Limits& prices : pool)
    if (const double value = bound_at(items, left, prices); value > most) {
      most = value;
      start = &prices;
    }
  const StageBound bound = raise_bound(items, left, *start);
  if (!(bound.value > most + 1e-6 * std::abs(most))) return *start;
  if (bound.value == kInfinity) return {};
  if (pool.size() < kMostPrices)
    pool.push_back(bound.prices);
  else  // the first stays: no prices at all
    pool[1 + state_->known.size() % (kMostPrices - 1)] = bound.prices;
  return bound.prices;
}

int StageBounds::most_layers(int group) const {
  int most = 0;
  for (int begin = 0; begin < layers_; ++begin)
    most = std::max(most, furthest(group, begin) - begin);
  return most;
}

int StageBounds::most_last_layers(int group) const {
  for (int begin = 0; begin < layers_; ++begin)
    if (at(group, begin, layers_) < kInfinity) return layers_ - begin;
  return 0;
}

const StageChoice& StageBounds::solve(int group, int begin, int end) {
  if (is_exact(group, begin, end)) return find_known(group, begin, end)->choice;
  const Limits limit_prices = learn_prices(group, begin, end);
  StageChoice choice = solve_stage(problem_, state_->costs, task(group, begin, end), limit_prices,
                                   pools_[static_cast<size_t>(group)]);
  if (!choice.feasible && choice.exact) choice.cost = kInfinity;
  if (choice.exact) raise(group, begin, end, choice.cost);
  const int like = stand_in(begin, end);
  auto& list = state_->known[key_of(group, like, like + end - begin)];
  if (list.size() >= kMostKnown) list.erase(list.begin());
  list.push_back({most_, prices_, std::move(choice)});
  return list.back().choice;
}

}  // namespace llmpq
