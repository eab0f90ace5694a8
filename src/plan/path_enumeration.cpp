#include "plan/path_enumeration.hpp"

#include <algorithm>
#include <limits>

namespace llmpq {
namespace {

constexpr double kRounding = 1e-12;

class Enumeration {
 public:
  Enumeration(const EnumerationTask& task, Incumbent& incumbent, int64_t budget,
              const std::function<bool()>& is_late)
      : task_(task), incumbent_(incumbent), budget_(budget), is_late_(is_late) {
    // Omega that the layers from here on have at the least.
    least_omega_.resize(static_cast<size_t>(task.problem.layers + 1));
    for (size_t layer = least_omega_.size() - 1; layer-- > 0;) {
      const auto& omega = task.problem.omega[layer];
      least_omega_[layer] = least_omega_[layer + 1] + *std::min_element(omega.begin(), omega.end());
    }
  }

  bool run() { return descend(0, {}); }

 private:
  /// The stages so far.
  struct Partial {
    int layers = 0;
    double cost = 0, omega = 0;
    std::array<double, 2> x{};
  };

  /// Cost of the two maxima above the box's lower ends.
  double above(const std::array<double, 2>& x) const {
    double cost = task_.constant;
    for (size_t k = 0; k < 2; ++k)
      cost += task_.weights[k] * std::max(0.0, x[k] - task_.box.low[k]);
    return cost;
  }

  bool descend(int node, const Partial& partial) {
    if (partial.layers == task_.problem.layers) {
      incumbent_.offer(task_.box.batching, stages_);
      return true;
    }
    for (const DeviceArc& arc : task_.graph.out[static_cast<size_t>(node)]) {
      const int furthest = task_.bounds.furthest(arc.group, partial.layers);
      for (int end = partial.layers + 1; end <= furthest; ++end)
        if (!try_stage(arc, end, partial)) return false;
    }
    return true;
  }

  /// What the stage may cost at most for the whole to stay below the target.
  double allowance(const DeviceArc& arc, int end, const Partial& partial) const {
    return incumbent_.target() - above(partial.x) - partial.cost - task_.path.arc_cost(arc) -
           task_.path.to_go(arc.to, end);
  }

  bool try_stage(const DeviceArc& arc, int end, const Partial& partial) {
    const double most = allowance(arc, end, partial);
    if (!(task_.bounds.at(arc.group, partial.layers, end) < most)) return true;
    const int64_t layers = end - partial.layers;
    budget_ -= 10 + layers * layers / 4;  // about what the ways to count formats cost
    if (budget_ < 0 || is_late_()) return false;
    std::vector<StageChoice> choices;
    const StageTask stage = task_.bounds.task(arc.group, partial.layers, end);
    if (!for_each_choice(task_.problem, task_.bounds.state().costs, stage, most,
                         task_.pools[static_cast<size_t>(arc.group)],
                         [&](const StageChoice& choice) {
                           if (choices.size() < kMostChoices) choices.push_back(choice);
                         }) ||
        choices.size() == kMostChoices)
      return false;
    std::sort(choices.begin(), choices.end(),
              [](const StageChoice& a, const StageChoice& b) { return a.cost < b.cost; });
    for (const StageChoice& choice : choices)
      if (!try_choice(arc, end, partial, choice)) return false;
    return true;
  }

  bool try_choice(const DeviceArc& arc, int end, const Partial& partial,
                  const StageChoice& choice) {
    if (--budget_ < 0) return false;
    Partial more = partial;
    more.layers = end;
    more.cost += task_.path.arc_cost(arc) + choice.cost;
    more.omega += choice.omega;
    for (size_t k = 0; k < 2; ++k) more.x[k] = std::max(more.x[k], choice.load.use[k + 1]);
    const double rest = task_.path.to_go(arc.to, end);
    if (!(above(more.x) + more.cost + rest < incumbent_.target())) return true;
    const auto& most_omega = task_.problem.max_omega;
    if (most_omega &&
        more.omega + least_omega_[static_cast<size_t>(end)] > *most_omega * (1 + 1e3 * kRounding))
      return true;
    stages_.push_back({arc, partial.layers, end, &choice});
    const bool done = descend(arc.to, more);
    stages_.pop_back();
    return done;
  }

  static constexpr size_t kMostChoices = 20000;
  const EnumerationTask& task_;
  Incumbent& incumbent_;
  int64_t budget_;
  const std::function<bool()>& is_late_;
  std::vector<double> least_omega_;
  std::vector<BuiltStage> stages_;
};

}  // namespace

bool enumerate_paths(const EnumerationTask& task, Incumbent& incumbent, int64_t budget,
                     const std::function<bool()>& is_late) {
  if (!task.graph.counts) return false;
  return Enumeration(task, incumbent, budget, is_late).run();
}

}  // namespace llmpq
