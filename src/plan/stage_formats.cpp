#include "plan/stage_formats.hpp"

#include <algorithm>
#include <cmath>

#include "plan/assign_formats.hpp"

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMostLines = 3e5;
constexpr double kNoBetter = 1 - 1e-12;  // a choice that is better by less is the same

/// A lower bound of the omega of a range for any counts: sum + counts . price.
struct Cut {
  std::vector<double> price;  ///< [class x formats], in seconds
  double sum = 0;
};

class StageSearch {
 public:
  StageSearch(const Problem& problem, const BatchingCosts& costs, const StageTask& task,
              OmegaPrices& pool)
      : problem_(problem),
        costs_(costs),
        task_(task),
        pool_(pool),
        kind_(static_cast<size_t>(problem.groups[static_cast<size_t>(task.group)].kind)),
        formats_(problem.formats.size()),
        layers_(static_cast<size_t>(problem.classes())),
        numbers_(layers_of_class(problem, task.begin, task.end)),
        counts_(costs, static_cast<int>(kind_), formats_) {
    for (int layer = task.begin; layer < task.end; ++layer)
      layers_[static_cast<size_t>(problem.class_of(layer))].push_back(layer);
    const Load& ends = costs.ends[kind_][ends_of(problem, task.begin, task.end)];
    for (size_t k = 0; k < kLimits; ++k) room_[k] = task.limits[k] - ends.use[k];
    ends_price_ = task.prices.of(ends);
  }

  bool is_possible() const {
    for (size_t c = 0; c < numbers_.size(); ++c)
      if (numbers_[c] > 0 && costs_.formats[kind_][c].empty()) return false;
    return room_[0] >= 0 && room_[1] >= 0 && room_[2] >= 0;
  }
  bool is_too_large() const { return counts_.lines(numbers_) > kMostLines; }

  StageChoice solve(const Limits& limit_prices) {
    if (task_.prices.omega == 0) return cheapest(limit_prices);
    counts_.set_prices(task_.prices, {});
    add_cuts(limit_prices);
    const std::vector<int> first = most_promising();
    if (first.empty()) return {};
    best_ = assign(first);
    counts_.search(numbers_, room_, kInfinity, [&](const CountLine& line) { improve(line); });
    return best_;
  }

  void for_each(double cutoff, const std::function<void(const StageChoice&)>& visit) {
    counts_.set_prices(task_.prices, {});
    add_cuts({});
    counts_.search(numbers_, room_, kInfinity, [&](const CountLine& line) {
      measure(line);
      for (int y = line.low; y <= line.high; ++y)
        if (bound(y) < cutoff)
          if (const StageChoice choice = assign(at(line, y)); choice.cost < cutoff) visit(choice);
    });
  }

 private:
  StageChoice cheapest(const Limits& limit_prices) {
    counts_.set_prices(task_.prices, limit_prices);
    std::vector<int> counts;
    if (counts_.cheapest(numbers_, room_, counts) == kInfinity) return {};
    return assign(counts);
  }

  /// Cuts from the pool, and the one that the prices of limits stand for.
  void add_cuts(const Limits& limit_prices) {
    for (const auto& price : pool_.all()) add_cut(price);
    std::vector<double> price(numbers_.size() * formats_);
    for (size_t i = 0; i < price.size() && task_.prices.omega > 0; ++i) {
      price[i] = -counts_.price()[i];
      for (size_t k = 0; k < kLimits; ++k) price[i] -= limit_prices[k] * counts_.use(i)[k];
      price[i] /= task_.prices.omega;
    }
    add_cut(price);
  }
  void add_cut(const std::vector<double>& price) {
    Cut cut{price, 0};
    for (size_t c = 0; c < layers_.size(); ++c)
      for (const int layer : layers_[c]) {
        double least = kInfinity;
        for (const uint8_t f : costs_.formats[kind_][c])
          least = std::min(least,
                           problem_.omega[static_cast<size_t>(layer)][f] - price[c * formats_ + f]);
        cut.sum += least;
      }
    cut.sum *= task_.prices.omega;
    for (double& value : cut.price) value *= task_.prices.omega;
    cuts_.push_back(std::move(cut));
  }

  /// The cost of a line's counts: base + slope y, and for each cut as much again.
  void measure(const CountLine& line) {
    bases_.resize(cuts_.size());
    slopes_.resize(cuts_.size());
    const double* price = counts_.price().data();
    for (size_t i = 0; i < cuts_.size(); ++i) {
      const double* more = cuts_[i].price.data();
      double base = ends_price_ + cuts_[i].sum + line.rest * (price[line.b] + more[line.b]);
      for (size_t j = 0; j < line.counts.size(); ++j)
        if (line.counts[j] > 0) base += line.counts[j] * (price[j] + more[j]);
      bases_[i] = base;
      slopes_[i] = price[line.a] + more[line.a] - price[line.b] - more[line.b];
    }
  }
  double bound(int y) const {
    double most = -kInfinity;
    for (size_t i = 0; i < bases_.size(); ++i) most = std::max(most, bases_[i] + slopes_[i] * y);
    return most;
  }
  static std::vector<int> at(const CountLine& line, int y) {
    std::vector<int> counts = line.counts;
    counts[line.a] += y;
    counts[line.b] += line.rest - y;
    return counts;
  }

  std::vector<int> most_promising() {
    std::vector<int> counts;
    double least = kInfinity;
    counts_.search(numbers_, room_, kInfinity, [&](const CountLine& line) {
      measure(line);
      for (int y = line.low; y <= line.high; ++y)
        if (const double value = bound(y); value < least) {
          least = value;
          counts = at(line, y);
        }
    });
    return counts;
  }

  /// Assigns exactly where the line's bound is below the best; each time a cut more excludes it.
  void improve(const CountLine& line) {
    int low = line.low, high = line.high;
    measure(line);
    while (low <= high) {
      int best_y = low;
      double least = kInfinity;
      for (int y = low; y <= high; ++y)
        if (const double value = bound(y); value < least) {
          least = value;
          best_y = y;
        }
      if (least >= best_.cost * kNoBetter) return;
      const StageChoice choice = assign(at(line, best_y));
      if (choice.cost < best_.cost) best_ = choice;
      measure(line);
      if (best_y == low)
        ++low;
      else if (best_y == high)
        --high;
      else if (bound(best_y) < best_.cost * kNoBetter)
        return scan(line, low, high);  // rounding: the cut is not sharp
    }
  }
  void scan(const CountLine& line, int low, int high) {
    for (int y = low; y <= high; ++y)
      if (const StageChoice choice = assign(at(line, y)); choice.cost < best_.cost) best_ = choice;
  }

  /// The least omega for these counts; its prices become a cut and join the pool.
  StageChoice assign(const std::vector<int>& counts) {
    std::vector<uint8_t> formats(static_cast<size_t>(task_.end - task_.begin));
    std::vector<double> price(counts.size());
    for (size_t c = 0; c < layers_.size(); ++c) {
      if (layers_[c].empty()) continue;
      const auto part = [&](auto& list) { return std::span(list).subspan(c * formats_, formats_); };
      const std::vector<double> start = start_prices(c);
      const FormatAssignment assigned =
          assign_formats(problem_, layers_[c], part(counts), costs_.formats[kind_][c], start);
      for (size_t i = 0; i < layers_[c].size(); ++i)
        formats[static_cast<size_t>(layers_[c][i] - task_.begin)] = assigned.format[i];
      std::copy(assigned.price.begin(), assigned.price.end(), part(price).begin());
    }
    if (task_.prices.omega > 0) {
      pool_.add(price);
      if (cuts_.size() >= kMostCuts) cuts_.erase(cuts_.begin());
      add_cut(price);
    }
    return stage_choice(problem_, costs_, task_, std::move(formats));
  }
  std::vector<double> start_prices(size_t c) const {
    std::vector<double> start(formats_);
    if (cuts_.empty() || task_.prices.omega == 0) return start;
    for (size_t f = 0; f < formats_; ++f)
      start[f] = cuts_.back().price[c * formats_ + f] / task_.prices.omega;
    return start;
  }

  static constexpr size_t kMostCuts = 24;
  const Problem& problem_;
  const BatchingCosts& costs_;
  const StageTask& task_;
  OmegaPrices& pool_;
  size_t kind_, formats_;
  std::vector<std::vector<int>> layers_;  ///< [class] of the range
  std::vector<int> numbers_;              ///< [class]
  FormatCounts counts_;
  Limits room_{};
  double ends_price_ = 0;
  std::vector<Cut> cuts_;
  std::vector<double> bases_, slopes_;  ///< [cuts] of the line at hand
  StageChoice best_;
};

}  // namespace

void OmegaPrices::add(const std::vector<double>& price) {
  if (std::find(prices_.begin(), prices_.end(), price) != prices_.end()) return;
  if (prices_.size() < kMost) {
    prices_.push_back(price);
    return;
  }
  prices_[next_] = price;
  next_ = (next_ + 1) % kMost;
}

size_t ends_of(const Problem& problem, int begin, int end) {
  return (begin == 0 ? kFirst : 0) | (end == problem.layers ? kLast : 0);
}

std::vector<int> layers_of_class(const Problem& problem, int begin, int end) {
  std::vector<int> numbers(static_cast<size_t>(problem.classes()));
  for (int layer = begin; layer < end; ++layer)
    ++numbers[static_cast<size_t>(problem.class_of(layer))];
  return numbers;
}

StageChoice stage_choice(const Problem& problem, const BatchingCosts& costs, const StageTask& task,
                         std::vector<uint8_t> formats) {
  const auto kind = static_cast<size_t>(problem.groups[static_cast<size_t>(task.group)].kind);
  StageChoice choice;
  choice.feasible = true;
  choice.load = costs.ends[kind][ends_of(problem, task.begin, task.end)];
  for (int layer = task.begin; layer < task.end; ++layer) {
    const uint8_t f = formats[static_cast<size_t>(layer - task.begin)];
    const Load& load = costs.layer[kind][static_cast<size_t>(problem.class_of(layer))][f];
    choice.load.prefill_s += load.prefill_s;
    choice.load.decode_s += load.decode_s;
    for (size_t k = 0; k < kLimits; ++k) choice.load.use[k] += load.use[k];
    choice.omega += problem.omega[static_cast<size_t>(layer)][f];
  }
  choice.cost = task.prices.of(choice.load) + task.prices.omega * choice.omega;
  choice.formats = std::move(formats);
  return choice;
}

StageChoice solve_stage(const Problem& problem, const BatchingCosts& costs, const StageTask& task,
                        const Limits& limit_prices, OmegaPrices& pool) {
  StageSearch search(problem, costs, task, pool);
  if (!search.is_possible()) return {};
  if (!search.is_too_large()) return search.solve(limit_prices);
  StageChoice choice;
  choice.exact = false;
  return choice;
}

bool for_each_choice(const Problem& problem, const BatchingCosts& costs, const StageTask& task,
                     double cutoff, OmegaPrices& pool,
                     const std::function<void(const StageChoice&)>& visit) {
  StageSearch search(problem, costs, task, pool);
  if (!search.is_possible()) return true;
  if (search.is_too_large()) return false;
  search.for_each(cutoff, visit);
  return true;
}

}  // namespace llmpq
