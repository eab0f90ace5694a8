// The best plan so far, and how cheap a plan must be to be worth looking for. Shared by all parts
// of the optimizer.
#pragma once

#include <functional>
#include <vector>

#include "plan/device_graph.hpp"
#include "plan/evaluate.hpp"
#include "plan/stage_formats.hpp"

namespace llmpq {

/// A stage of a plan that is being built.
struct BuiltStage {
  DeviceArc arc;
  int begin = 0, end = 0;
  const StageChoice* choice = nullptr;
};

class Incumbent {
 public:
  Incumbent(const Problem& problem, double gap, double worth)
      : problem_(problem), gap_(gap), worth_(worth) {}

  /// Takes the plan if it keeps all rules and is better. False: it breaks a rule (too many devices
  /// of a group, omega above the bound).
  bool offer(int batching, const std::vector<BuiltStage>& stages);

  bool found() const { return !best_.stages.empty(); }
  const Assignment& best() const { return best_; }
  const Score& score() const { return score_; }
  double objective() const { return found() ? score_.objective : kNone; }
  /// Plans of at least this objective are not looked for; as long as there is none,
  /// OptimizeOptions::worth.
  double target() const;

 private:
  static constexpr double kNone = std::numeric_limits<double>::infinity();
  const Problem& problem_;
  const double gap_, worth_;
  Assignment best_;
  Score score_;
};

}  // namespace llmpq
