#include "plan/path_enumeration.hpp"

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <tuple>

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-12;
constexpr int64_t kSteps = 100;       // the clock is looked at after so many labels
constexpr int64_t kChoiceSteps = 10;  // what a choice of a stage takes, in steps of the budget

/// What counts of the stages so far. Of two that have placed the same layers on the same devices,
/// one that is nowhere larger makes the other one superfluous, whatever follows.
struct Spent {
  double sum = 0, queue = 0;  ///< both terms of the time that add up, theta omega in the first
  double omega = 0;           ///< where it is bounded
  std::array<double, 2> x{};  ///< no less than the box's lower ends

  bool covers(const Spent& other, const Spent& rounding) const {
    return sum <= other.sum + rounding.sum && queue <= other.queue + rounding.queue &&
           omega <= other.omega + rounding.omega && x[0] <= other.x[0] + rounding.x[0] &&
           x[1] <= other.x[1] + rounding.x[1];
  }
};

/// A stage that may be used, and what it adds.
struct Choice {
  StageChoice stage;
  Spent spent;
};

/// The first stages of a plan.
struct Label {
  Spent spent;
  double bound = 0;  ///< of the objective of whatever it becomes
  const Label* before = nullptr;
  DeviceArc arc;
  int begin = 0;
  const Choice* choice = nullptr;
};

class Enumeration {
 public:
  Enumeration(const EnumerationTask& task, Incumbent& incumbent, int64_t budget,
              const std::function<bool()>& is_late)
      : task_(task),
        costs_(task.bounds.state().costs),
        layers_(task.problem.layers),
        alike_(task.problem.layers_are_alike()),
        incumbent_(incumbent),
        budget_(budget),
        is_late_(is_late),
        open_(static_cast<size_t>(task.graph.nodes()) * static_cast<size_t>(layers_ + 1)) {
    const double small = 1e-13 * std::abs(task.box.bound);
    rounding_ = {small, small, 1e-13 * task.problem.max_omega.value_or(0), {}};
    for (size_t k = 0; k < 2; ++k) rounding_.x[k] = 1e-13 * task.box.low[k];
  }

  bool run() {
    const Label start = first();
    dive_left_ = budget_ / 10;
    if (dive(0, 0, start)) return true;
    add(0, 0, start);
    for (int begin = 0; begin < layers_; ++begin)
      for (int node = 0; node < task_.graph.nodes(); ++node)
        for (const Label* label : at(node, begin))
          if (!extend(node, begin, *label)) return false;
    offer_all();
    return true;
  }

 private:
  Label first() const {
    Label start;
    start.spent.x = counted(task_.box.low);
    return start;
  }

  /// Depth first, without a look at what other labels cover: offers plans on its way, which lower
  /// the target. False: there are more steps than that is worth.
  bool dive(int node, int begin, const Label& label) {
    if (begin == layers_) {
      offer(label, layers_);
      return true;
    }
    return for_each_longer(node, begin, label, [&](int to, int end, Label& longer) {
      if (--dive_left_ < 0 || is_late()) return false;
      return !is_promising(to, end, longer) || dive(to, end, longer);
    });
  }

  std::vector<const Label*>& at(int node, int layers) { return open_[index(node, layers)]; }
  size_t index(int node, int layers) const {
    return static_cast<size_t>(node) * static_cast<size_t>(layers_ + 1) +
           static_cast<size_t>(layers);
  }

  /// x_k where it counts at all.
  std::array<double, 2> counted(std::array<double, 2> x) const {
    if (costs_.busiest[0] == 0) x[0] = 0;
    if (costs_.busiest[1] + costs_.round_busiest == 0) x[1] = 0;
    return x;
  }
  Spent spent_on(const Load& load, double omega, bool in_sum) const {
    const double bounded = task_.problem.max_omega ? omega : 0;
    Spent spent{0, 0, bounded, counted({load.use[1], load.use[2]})};
    if (!in_sum) return spent;
    spent.sum = costs_.sum_prefill * load.prefill_s + costs_.sum_decode * load.decode_s +
                task_.problem.theta * omega;
    spent.queue = costs_.queue_prefill * load.prefill_s + costs_.queue_decode * load.decode_s;
    return spent;
  }
  static void add_to(Spent& all, const Spent& more) {
    all.sum += more.sum;
    all.queue += more.queue;
    all.omega += more.omega;
    for (size_t k = 0; k < 2; ++k) all.x[k] = std::max(all.x[k], more.x[k]);
  }

  /// The least that a plan with this beginning costs, without the rest.
  double cost(const Spent& spent) const {
    const Multipliers& at = task_.box.multipliers;
    double cost =
        task_.constant + spent.sum + (1 - at.share) * spent.queue + at.omega * spent.omega;
    for (size_t k = 0; k < 2; ++k)
      cost += task_.weights[k] * std::max(0.0, spent.x[k] - task_.box.low[k]);
    return cost;
  }
  bool keeps_omega(const Spent& spent, size_t at) const {
    const auto& most = task_.problem.max_omega;
    const double rest = task_.least_omega.empty() ? 0 : task_.least_omega[at];
    return !most || spent.omega + rest <= *most * (1 + 1e3 * kRounding);
  }

  /// Sets its bound.
  bool is_promising(int node, int layers, Label& label) const {
    label.bound = cost(label.spent) + task_.path.to_go(node, layers);
    return label.bound < incumbent_.target() && keeps_omega(label.spent, index(node, layers));
  }

  /// Keeps a label unless it leads nowhere or another one covers it.
  void add(int node, int layers, Label label) {
    if (!is_promising(node, layers, label)) return;
    auto& others = open_[index(node, layers)];
    budget_ -= 1 + static_cast<int64_t>(others.size()) / 16;
    for (const Label* other : others)
      if (other->spent.covers(label.spent, rounding_)) return;
    std::erase_if(others, [&](const Label* other) { return label.spent.covers(other->spent, {}); });
    others.push_back(&labels_.emplace_back(label));
  }
  bool extend(int node, int begin, const Label& label) {
    return for_each_longer(node, begin, label, [&](int to, int end, const Label& longer) {
      add(to, end, longer);
      return budget_ >= 0 && !is_late();
    });
  }

  /// The clock is looked at now and then.
  bool is_late() { return ++steps_ % kSteps == 0 && is_late_(); }

  /// Calls visit(node, layers placed, label) for the label with each stage more that may lead below
  /// the target, until that is false. False also where a stage has too many choices.
  template <typename Visit>
  bool for_each_longer(int node, int begin, const Label& label, Visit&& visit) {
    for (const DeviceArc& arc : task_.graph.out[static_cast<size_t>(node)]) {
      Label next{label.spent, 0, &label, arc, begin, nullptr};
      if (!cross(arc, next.spent)) continue;
      const int furthest = task_.bounds.furthest(arc.group, begin);
      for (int end = begin + 1; end <= furthest; ++end) {
        const double least = cost(next.spent) + task_.path.to_go(arc.to, end);
        if (!(task_.bounds.at(arc.group, begin, end) + least < incumbent_.target())) continue;
        const std::vector<Choice>* choices = choices_of(arc.group, begin, end);
        if (!choices) return false;
        for (const Choice& choice : *choices) {
          if (!(choice.stage.cost + least < incumbent_.target())) break;
          Label longer = next;
          longer.choice = &choice;
          add_to(longer.spent, choice.spent);
          if (!visit(arc.to, end, longer)) return false;
        }
      }
    }
    return true;
  }

  /// Adds the link to the arc's device. False: it is too slow for the box.
  bool cross(const DeviceArc& arc, Spent& spent) const {
    if (arc.previous_group < 0) return true;
    if (task_.path.arc_cost(arc) == kInfinity) return false;
    const Load& link =
        costs_.link[static_cast<size_t>(arc.previous_group)][static_cast<size_t>(arc.group)];
    add_to(spent, spent_on(link, 0, task_.problem.links.in_sum));
    return true;
  }

  /// The choices for a stage that may be part of a plan below the target, the cheapest first; null
  /// if there are too many. Where all layers are alike, their number says it all.
  const std::vector<Choice>* choices_of(int group, int begin, int end) {
    const size_t ends = ends_of(task_.problem, begin, end);
    const std::tuple key(group, alike_ ? static_cast<int>(ends) : begin, end - begin);
    const auto known = choices_.find(key);
    if (known != choices_.end()) return &known->second;
    std::vector<Choice> found;
    const bool all = for_each_choice(
        task_.problem, costs_, task_.bounds.task(group, begin, end), most_of(group, begin, end),
        task_.pools[static_cast<size_t>(group)], [&](const StageChoice& stage) {
          if (found.size() < kMostChoices)
            found.push_back({stage, spent_on(stage.load, stage.omega, true)});
        });
    budget_ -= 100 + kChoiceSteps * static_cast<int64_t>(found.size());
    if (!all || found.size() == kMostChoices) return nullptr;
    return &(choices_[key] = best_of(std::move(found)));
  }

  /// What a stage may cost at most in any plan below the target.
  double most_of(int group, int begin, int end) const {
    double most = -kInfinity;
    for (int from = alike_ ? 0 : begin; from <= (alike_ ? layers_ - (end - begin) : begin);
         ++from) {
      const int to = from + end - begin;
      if (ends_of(task_.problem, from, to) != ends_of(task_.problem, begin, end)) continue;
      for (const auto& arcs : task_.graph.out)
        for (const DeviceArc& arc : arcs)
          if (arc.group == group)
            most = std::max(most, -task_.path.from_start(arc.from, from) -
                                      task_.path.arc_cost(arc) - task_.path.to_go(arc.to, to));
    }
    return incumbent_.target() - task_.constant + most;
  }

  /// Without those that another one covers.
  std::vector<Choice> best_of(std::vector<Choice> found) const {
    std::sort(found.begin(), found.end(),
              [](const Choice& a, const Choice& b) { return a.stage.cost < b.stage.cost; });
    for (Choice& choice : found)
      for (size_t k = 0; k < 2; ++k)
        choice.spent.x[k] = std::max(choice.spent.x[k], counted(task_.box.low)[k]);
    std::vector<Choice> best;
    for (Choice& choice : found)
      if (std::none_of(best.begin(), best.end(), [&](const Choice& other) {
            return other.spent.covers(choice.spent, rounding_);
          }))
        best.push_back(std::move(choice));
    return best;
  }

  void offer_all() {
    std::vector<const Label*> whole;
    for (int node = 0; node < task_.graph.nodes(); ++node)
      whole.insert(whole.end(), at(node, layers_).begin(), at(node, layers_).end());
    std::sort(whole.begin(), whole.end(),
              [](const Label* a, const Label* b) { return a->bound < b->bound; });
    for (const Label* label : whole)
      if (label->bound < incumbent_.target()) offer(*label, layers_);
  }
  void offer(const Label& last, int layers) {
    std::vector<BuiltStage> stages;
    int end = layers;
    for (const Label* label = &last; label->before; label = label->before) {
      stages.push_back({label->arc, label->begin, end, &label->choice->stage});
      end = label->begin;
    }
    std::reverse(stages.begin(), stages.end());
    incumbent_.offer(task_.box.batching, stages);
  }

  static constexpr size_t kMostChoices = 20000;
  const EnumerationTask& task_;
  const BatchingCosts& costs_;
  const int layers_;
  const bool alike_;
  Incumbent& incumbent_;
  int64_t budget_, dive_left_ = 0, steps_ = 0;
  const std::function<bool()>& is_late_;
  Spent rounding_;
  std::deque<Label> labels_;
  std::vector<std::vector<const Label*>> open_;                       ///< [node][layers placed]
  std::map<std::tuple<int, int, int>, std::vector<Choice>> choices_;  ///< group, which, layers
};

}  // namespace

bool enumerate_paths(const EnumerationTask& task, Incumbent& incumbent, int64_t budget,
                     const std::function<bool()>& is_late) {
  if (!task.graph.counts) return false;
  return Enumeration(task, incumbent, budget, is_late).run();
}

}  // namespace llmpq
