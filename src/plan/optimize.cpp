#include "plan/optimize.hpp"

#include <algorithm>
#include <cmath>
#include <queue>

#include "plan/box.hpp"

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kFirstBudget = 20000;      // steps of an enumeration; doubled each time
constexpr int kFirstSteps = 12, kSteps = 3;  // multipliers tried for a batching, for later boxes
constexpr int kMostPricedEffort = 4;         // times that such a box is tried harder, with prices
constexpr double kNarrow = 1e-9;             // relative width of a box that is not split

class Search {
 public:
  Search(const Problem& problem, const OptimizeOptions& options)
      : problem_(problem),
        options_(options),
        start_s_(options.now_s()),
        graph_(make_device_graph(problem, options.most_states)),
        incumbent_(problem, options.gap, options.worth),
        solver_(problem, graph_, incumbent_) {}

  Optimum run() {
    for (int i = 0; i < static_cast<int>(problem_.batchings.size()); ++i)
      push(solver_.rough_box(i));
    bool late = false;
    while (!open_.empty() && open_.top().bound < incumbent_.target() && !(late = is_late())) {
      Box box = open_.top();
      open_.pop();
      look_at(std::move(box));
    }
    return result(late);
  }

 private:
  struct Later {
    bool operator()(const Box& a, const Box& b) const { return a.bound > b.bound; }
  };

  bool is_late() const { return options_.now_s() - start_s_ >= options_.time_limit_s; }

  void push(Box box) {
    if (box.bound < incumbent_.target())
      open_.push(std::move(box));
    else
      give_up(box.bound);
  }
  /// Plans of at least this objective are not looked at any more.
  void give_up(double bound) { floor_ = std::min(floor_, bound); }

  void look_at(Box box) {
    ++boxes_;
    const auto before = box.high;
    solver_.narrow(box);
    if (box.high != before) give_up(incumbent_.target());
    const bool is_first = box.is_rough;
    const PathResult path = solver_.solve(box, is_first || box.effort > 0 ? kFirstSteps : kSteps);
    if (!(box.bound < incumbent_.target())) return give_up(box.bound);
    split(std::move(box), path);
  }

  void split(Box box, const PathResult& path) {
    const std::array<double, 2> weight = solver_.full_weights(box);
    const std::array<double, 2> slack = solver_.slacks(box, path);
    const double wanted = incumbent_.target() - box.bound;
    if (path.is_plan && slack[0] + slack[1] < 0.5 * wanted && may_enumerate()) {
      if (enumerate(box)) return give_up(incumbent_.target());
      ++box.effort;
    }
    const size_t k = widest(box, weight, slack);
    if (k == 2) return keep_or_set_aside(std::move(box));
    cut(box, k, cut_at(box, k, path, weight[k], slack[k], wanted));
  }

  /// At most half of the time goes into enumerations.
  bool may_enumerate() const {
    return graph_.counts && incumbent_.found() &&
           enumerating_s_ < 0.5 * (options_.now_s() - start_s_) + 0.01;
  }
  bool enumerate(Box& box) {
    const double start_s = options_.now_s();
    const bool done = solver_.enumerate(box, kFirstBudget << std::min(box.effort, 40),
                                        [this] { return is_late(); });
    enumerating_s_ += options_.now_s() - start_s;
    return done;
  }

  /// What is not worth a split: rounding, or a small part of the gap.
  double too_small(const Box& box) const {
    const double gap = incumbent_.found() ? incumbent_.objective() - incumbent_.target() : 0;
    return std::max(1e-11 * std::abs(box.bound), 0.05 * gap);
  }

  /// The interval to split: where the path lies furthest above the lower end, else the widest in
  /// cost; 2: none can be split.
  size_t widest(const Box& box, const std::array<double, 2>& weight,
                const std::array<double, 2>& slack) const {
    const auto width = [&](size_t k) {
      return weight[k] > 0 && box.high[k] - box.low[k] > kNarrow * box.high[k]
                 ? weight[k] * (box.high[k] - box.low[k])
                 : 0;
    };
    const double small = too_small(box);
    if (std::max(slack[0], slack[1]) > small) return slack[0] > slack[1] ? 0 : 1;
    if (std::max(width(0), width(1)) <= small) return 2;
    return width(0) > width(1) ? 0 : 1;
  }

  double cut_at(const Box& box, size_t k, const PathResult& path, double weight, double slack,
                double wanted) const {
    const double low = box.low[k];
    if (slack > too_small(box)) {
      // A cut at the path's own value makes the path exact above it and impossible below.
      if (slack <= 0.5 * wanted || slack <= 1e-4 * std::abs(box.bound)) return path.x[k];
      return low + (path.x[k] - low) / 2;
    }
    const double high = std::isinf(box.high[k]) ? 2 * low + 1e-9 : box.high[k];
    const double middle = low + (high - low) / 2;
    return weight > 0 ? std::min(middle, low + std::max(wanted / weight, (high - low) / 8))
                      : middle;
  }

  /// Below `at` and from `at` on.
  void cut(const Box& box, size_t k, double at) {
    Box below = box, above = box;
    below.high[k] = at * (1 - 1e-11);  // far above rounding, far below anything that matters
    above.low[k] = at;
    above.line_bound += solver_.weights(box)[k] * (at - box.low[k]);
    above.bound = std::max(box.bound, above.line_bound);
    if (below.high[k] >= below.low[k]) push(std::move(below));
    push(std::move(above));
  }

  /// A box that cannot be split: another enumeration with more steps, or for the bound only.
  void keep_or_set_aside(Box box) {
    const int most_effort = graph_.counts ? 30 : solver_.prices_devices() ? kMostPricedEffort : 0;
    if (++box.effort > most_effort || (!graph_.counts && !incumbent_.found()))
      set_aside_ = std::min(set_aside_, box.bound);
    else if (!graph_.counts)
      push(std::move(box));
    else if (enumerate(box))
      give_up(incumbent_.target());
    else
      push(std::move(box));
  }

  Optimum result(bool late) const {
    Optimum optimum;
    optimum.boxes = boxes_;
    optimum.solve_s = options_.now_s() - start_s_;
    double bound = std::min(floor_, set_aside_);
    if (!open_.empty()) bound = std::min(bound, open_.top().bound);
    if (!incumbent_.found()) {
      const bool proven = !late && set_aside_ == kInfinity && floor_ == kInfinity;
      optimum.status = proven ? OptimizeStatus::kInfeasible : OptimizeStatus::kNothingFound;
      optimum.lower_bound = bound;
      return optimum;
    }
    optimum.status = OptimizeStatus::kFound;
    optimum.assignment = incumbent_.best();
    optimum.score = incumbent_.score();
    optimum.lower_bound = std::min(bound, optimum.score.objective);
    return optimum;
  }

  const Problem& problem_;
  const OptimizeOptions& options_;
  const double start_s_;
  const DeviceGraph graph_;
  Incumbent incumbent_;
  BoxSolver solver_;
  std::priority_queue<Box, std::vector<Box>, Later> open_;
  double floor_ = kInfinity, set_aside_ = kInfinity;
  int64_t boxes_ = 0;
  double enumerating_s_ = 0;
};

}  // namespace

Optimum optimize(const Problem& problem, const OptimizeOptions& options) {
  check_problem(problem, problem.name.empty() ? "problem" : problem.name);
  return Search(problem, options).run();
}

}  // namespace llmpq
