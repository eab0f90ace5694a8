// Planners without the optimizer's view of the whole: what the field did before, each with the
// best batching that its partition allows. Formulas and sources: README.md. Called by plan_by().
#pragma once

#include <vector>

#include "plan/planners.hpp"

namespace llmpq {

/// The best plan among those that a planner tries.
class BestOf {
 public:
  explicit BestOf(const Problem& problem) : problem_(problem) {}
  /// Takes a plan that keeps all rules and has a smaller objective.
  void offer(const Assignment& assignment);
  /// Infinity as long as there is none.
  double objective() const;
  Planned take(std::string note) const;

 private:
  const Problem& problem_;
  bool found_ = false;
  Assignment assignment_;
  Score score_;
};

/// What is left of a time limit.
class TimeLeft {
 public:
  explicit TimeLeft(const OptimizeOptions& options)
      : options_(options), end_s_(options.now_s() + options.time_limit_s) {}
  bool is_over() const { return options_.now_s() >= end_s_; }
  OptimizeOptions options() const {
    OptimizeOptions left = options_;
    left.time_limit_s = end_s_ - options_.now_s();
    return left;
  }

 private:
  const OptimizeOptions& options_;
  const double end_s_;
};

/// Layers in equal parts on all devices, in the order of ranks; the largest format with which that
/// fits under any batching and keeps the bound on quality; the best such batching.
Planned uniform_plan(const Problem& problem);

/// PipeEdge: the largest format that fits for all layers, and for each batching the partition whose
/// longest decode step (or transfer) is shortest; the best of these.
Planned pipeedge_plan(const Problem& problem, const OptimizeOptions& options);

/// Adaptive bits: for each batching the formats with the least omega that memory allows, whatever
/// they do to the time, and for these the partition as pipeedge_plan(); the best of these.
Planned adabits_plan(const Problem& problem, const OptimizeOptions& options);

/// For each batching that can be better than the best so far: the plan of adabits_plan().
/// `visit` gets it, and returns the objective from which on no batching is worth a look. False: the
/// time was over before the end.
bool for_each_adapted(const Problem& problem, const OptimizeOptions& options,
                      const std::function<double(const Assignment&)>& visit);

}  // namespace llmpq
