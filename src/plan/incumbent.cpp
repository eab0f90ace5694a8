#include "plan/incumbent.hpp"

#include <algorithm>

namespace llmpq {
namespace {

/// Better by less than this is rounding.
constexpr double kRounding = 1e-12;

/// The ranks of the stages: in a fixed order the arc says which, else devices of a group are taken
/// as they come. Empty: a group has too few.
std::vector<int> ranks_of(const Problem& problem, const std::vector<BuiltStage>& stages) {
  std::vector<int> ranks;
  std::vector<size_t> used(problem.groups.size());
  for (const BuiltStage& stage : stages) {
    const auto g = static_cast<size_t>(stage.arc.group);
    if (!problem.order.empty()) {
      ranks.push_back(problem.order[static_cast<size_t>(stage.arc.to - 1)]);
    } else {
      if (used[g] == problem.groups[g].ranks.size()) return {};
      ranks.push_back(problem.groups[g].ranks[used[g]++]);
    }
  }
  return ranks;
}

}  // namespace

double Incumbent::target() const {
  return found() ? score_.objective * (1 - std::max(gap_, kRounding)) : kNone;
}

bool Incumbent::offer(int batching, const std::vector<BuiltStage>& stages) {
  const std::vector<int> ranks = ranks_of(problem_, stages);
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
