#include "plan/link_costs.hpp"

#include <limits>

namespace llmpq {

std::vector<std::vector<double>> link_costs(const Problem& problem, const StageBounds& bounds) {
  const StageTask task = bounds.task(0, 0, 0);
  const size_t groups = problem.groups.size();
  std::vector<std::vector<double>> costs(groups + 1, std::vector<double>(groups));
  for (size_t from = 0; from < groups; ++from)
    for (size_t to = 0; to < groups; ++to) {
      const Load& link = bounds.state().costs.link[from][to];
      double& cost = costs[from + 1][to];
      if (problem.links.in_sum) cost = task.prices.of(link);
      if (link.use[1] > task.limits[1] || link.use[2] > task.limits[2])
        cost = std::numeric_limits<double>::infinity();
    }
  return costs;
}

}  // namespace llmpq
