#include "plan/incumbent.hpp"

#include <algorithm>

namespace llmpq {
namespace {

/// Better by less than this is rounding.
constexpr double kRounding = 1e-12;

}  // namespace

double Incumbent::target() const {
  if (!found()) return worth_;
  return std::min(worth_, score_.objective * (1 - std::max(gap_, kRounding)));
}

bool Incumbent::offer(int batching, const std::vector<BuiltStage>& stages) {
  std::vector<DeviceArc> path;
  for (const BuiltStage& stage : stages) path.push_back(stage.arc);
  const std::vector<int> ranks = ranks_along(problem_.groups, problem_.order, path);
  if (ranks.empty()) return false;
  Assignment assignment{batching, {}};
  for (size_t i = 0; i < stages.size(); ++i) {
    const auto& formats = stages[i].choice->formats;
    assignment.stages.push_back(
        {ranks[i], stages[i].begin, stages[i].end, {formats.begin(), formats.end()}});
  }
  if (!broken_rule(problem_, assignment).empty()) return false;
  const Score score = evaluate(problem_, assignment);
  if (!(score.objective < objective())) return true;
  best_ = std::move(assignment);
  score_ = score;
  return true;
}

}  // namespace llmpq
